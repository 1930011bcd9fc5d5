"""docs/reference/owasp-api-top-10.md names tests that there are, for each of the ten risks."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from registry.kernel.settings import ROOT

pytestmark = pytest.mark.unit

TABLE = ROOT / "docs" / "reference" / "owasp-api-top-10.md"
ROW = re.compile(r"^\| (API\d+) [^|]+\|([^|]+)\|([^|]+)\|$", re.MULTILINE)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows() -> dict[str, tuple[str, str]]:
    return {risk: (done, shown) for risk, done, shown in ROW.findall(TABLE.read_text("utf-8"))}


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def test_table__risks__are_all_ten() -> None:
    assert list(rows()) == [f"API{number}" for number in range(1, 11)]


@pytest.mark.parametrize("risk", [f"API{number}" for number in range(1, 11)])
def test_table__each_risk__names_tests_that_exist(risk: str) -> None:
    _, shown = rows()[risk]
    named = NAMED.findall(shown)

    assert named
    assert len(named) == shown.count("`") // 2, "something is named that is no test"
    for path, name in named:
        assert name in functions_of(path), f"{path} has no {name}"

"""Every code that the program raises is documented, and no other."""

from __future__ import annotations

import re

import pytest

from api.problems import STATUS
from tests.api.codes import documented_codes, raised_codes

pytestmark = pytest.mark.unit


def test_error_codes__raised__are_documented() -> None:
    raised = raised_codes()
    missing = {code: raised[code] for code in sorted(raised.keys() - documented_codes())}

    assert len(raised) > 90, "the scan lost its way"
    assert not missing, "see: python -m tests.api.codes"


def test_error_codes__documented__are_raised() -> None:
    assert documented_codes().keys() - raised_codes() == set()


ELSEWHERE = {"operation", "start", "command", "row", "import", "export", "4xx"}
"""Where a code stands that is no answer's."""


def test_error_codes__each__says_when_and_what_to_do() -> None:
    known = {str(status) for _, status in STATUS} | {"400", "401", "405", "413", "429", "500"}
    for code, (status, when, remedy) in documented_codes().items():
        statuses = set(re.findall(r"\b\d{3}\b", status))
        assert statuses <= known, code
        assert statuses or status in ELSEWHERE, code
        assert when.endswith("."), code
        assert remedy.endswith("."), code

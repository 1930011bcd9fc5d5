"""Every error code that the program raises, read from its source.

``python -m tests.api.codes`` prints what docs/reference/errors.md lacks, or has too much of.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from registry.kernel.settings import ROOT

ERRORS = ROOT / "docs" / "reference" / "errors.md"
FOLDERS = ("registry", "api", "chain")
CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+")
ROW = re.compile(r"^\| `([a-z0-9_]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)

RAISERS = frozenset({"Invalid", "Conflict", "Forbidden", "Unavailable", "Unauthenticated",
                     "Unproven", "CeremonyRefused", "RegistryError", "Constraint",
                     "operation_problem", "__init__"})  # fmt: skip
"""Called with the code as their first argument; `__init__` where an error has one code."""
SECOND = frozenset({"problem"})
"""Called with a status first, and the code second."""
TABLES = frozenset({"codes"})
"""Names of dictionaries from something to a code, or to a code and a sentence."""


def raised_codes() -> dict[str, list[str]]:
    """Return each code, with the places where it stands."""
    found: dict[str, list[str]] = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            for code, line in _codes_of(path):
                found.setdefault(code, []).append(f"{path.relative_to(ROOT)}:{line}")
    return found


def _codes_of(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = _name(node.func)
            arguments = node.args[1:2] if name in SECOND else node.args[:1]
            if name in RAISERS | SECOND:
                yield from _literals(arguments)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if isinstance(node.value, ast.Dict) and any(_name(t) in TABLES for t in targets):
                for value in node.value.values:
                    first = value.elts[:1] if isinstance(value, ast.Tuple) else [value]
                    yield from _literals(first)


def _literals(arguments: list[ast.expr]) -> Iterator[tuple[str, int]]:
    """Yield the codes among `arguments`; both of ``"a" if test else "b"``, each of a tuple."""
    for argument in arguments:
        for node in ast.walk(argument):
            text = node.value if isinstance(node, ast.Constant) else None
            if isinstance(text, str) and CODE.fullmatch(text):
                yield text, argument.lineno


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def documented_codes() -> dict[str, tuple[str, str, str]]:
    """Return each documented code, with its status, its cause and its remedy."""
    rows = ROW.findall(ERRORS.read_text("utf-8"))
    return {
        code: (status.strip(), when.strip(), remedy.strip()) for code, status, when, remedy in rows
    }


def main() -> int:
    raised, documented = raised_codes(), documented_codes()
    for code in sorted(raised.keys() - documented):
        sys.stdout.write(f"missing: {code} ({', '.join(raised[code])})\n")
    for code in sorted(documented.keys() - raised):
        sys.stdout.write(f"raised nowhere: {code}\n")
    return int(raised.keys() != documented.keys())


if __name__ == "__main__":
    sys.exit(main())

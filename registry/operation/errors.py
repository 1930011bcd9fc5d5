"""What went wrong with an operation, as a problem that its reader can act on."""

from __future__ import annotations

from typing import Any


def operation_problem(
    code: str, detail: str, *, remedy: str | None = None, **context: Any
) -> dict[str, Any]:
    """Build the problem that an operation shows (the body of RFC 9457, without a status)."""
    problem: dict[str, Any] = {"code": code, "detail": detail}
    if remedy is not None:
        problem["remedy"] = remedy
    return problem | context

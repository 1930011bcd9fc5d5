"""Whole numbers as JSON writes them."""

from __future__ import annotations

from typing import Any

from pydantic import BeforeValidator


def _no_flag(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("is true or false, which is no number")  # noqa: TRY004 (told as a 422)
    return value


NO_FLAG = BeforeValidator(_no_flag)
"""Behind an int's limits: Python takes `true` for 1, which would be a share nobody has stated."""

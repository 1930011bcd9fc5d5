"""Reading `as_of`: a time, or ``block:<number>``."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import TypeAdapter, ValidationError
from pydantic.types import AwareDatetime

from registry.kernel.errors import Invalid

AsOfParam = Annotated[
    str | None,
    Query(alias="as_of", description="RFC 3339 time, or block:<number>", max_length=64),
]

_BLOCK = re.compile(r"^block:([0-9]{1,15})$")
_TIME = TypeAdapter(AwareDatetime)


def read_as_of(text: str | None) -> int | datetime | None:
    """Return a block number, a time, or None for now.

    Raises
    ------
    Invalid
        ``as_of_malformed``.
    """
    if text is None:
        return None
    block = _BLOCK.match(text)
    if block:
        return int(block.group(1))
    try:
        return _TIME.validate_python(text)
    except ValidationError as error:
        raise Invalid(
            "as_of_malformed",
            f"{text!r} is neither a time nor a block.",
            field="as_of",
            remedy='Write "2026-07-28T09:00:00Z" or "block:1200".',
        ) from error

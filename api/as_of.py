"""Reading the past: `as_of`, a time or ``block:<number>``, and `known_at`, a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query
from pydantic import TypeAdapter, ValidationError

from api.deps import ServicesDep, TurnDep
from api.schemas.common import DatedInstant, Instant
from registry.kernel.clock import now
from registry.kernel.db import ReadSession
from registry.kernel.errors import Invalid

AsOfParam = Annotated[
    str | None,
    Query(alias="as_of", description="RFC 3339 time, or block:<number>", max_length=64),
]

SinceParam = Annotated[
    str | None,
    Query(description="Not before this RFC 3339 time, or block:<number>", max_length=64),
]

_BLOCK = re.compile(r"^block:([0-9]{1,15})$")
_TIME = TypeAdapter(Instant)
_DATED = TypeAdapter(DatedInstant)


def read_as_of(text: str | None, *, field: str = "as_of") -> int | datetime | None:
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
            field=field,
            remedy='Write "2026-07-28T09:00:00Z" or "block:1200".',
        ) from error


LegalTimeParam = Annotated[
    Instant | None,
    Query(alias="as_of", description="Answer with what was so in law at this time"),
]
"""For reads of legal facts that have a time in law."""


KnownAtParam = Annotated[
    Instant | None,
    Query(
        alias="known_at",
        description="Answer with what the register knew at this time; without it, now",
    ),
]


def get_known_session(
    services: ServicesDep, _turn: TurnDep, known_at: KnownAtParam = None
) -> Iterator[ReadSession]:
    """Give a read-only session in which legal rows are as the register knew them at `known_at`.

    Raises
    ------
    Invalid
        ``known_at_in_future``.
    """
    require_past(known_at)
    with services.database.reading(known_at=known_at) as session:
        yield session


KnownSessionDep = Annotated[ReadSession, Depends(get_known_session, scope="function")]
"""For reads of facts with a time in law of their own, which the query asks for (`as_of`)."""


def get_legal_session(
    services: ServicesDep,
    _turn: TurnDep,
    as_of: LegalTimeParam = None,
    known_at: KnownAtParam = None,
) -> Iterator[ReadSession]:
    """Give a read-only session in which legal rows are as they were in law at `as_of`.

    For acts that have their effect by being recorded: an approval, the issue of a receipt, a
    court order in force. What was so at a time is what was recorded by then, as far as the
    register knew of it at `known_at`.

    Raises
    ------
    Invalid
        ``known_at_in_future``.
    """
    require_past(known_at)
    known = [moment for moment in (as_of, known_at) if moment is not None and moment <= now()]
    with services.database.reading(known_at=min(known, default=None)) as session:
        yield session


def require_dated(as_of: int | datetime | None) -> None:
    """Refuse a moment that has no date at the register's seat: reports reckon with its day.

    Raises
    ------
    Invalid
        ``as_of_malformed``.
    """
    if isinstance(as_of, datetime):
        try:
            _DATED.validate_python(as_of.isoformat())
        except ValidationError as error:
            raise Invalid(
                "as_of_malformed",
                f"{as_of.isoformat()} is too near to the beginning or the end of the calendar.",
                field="as_of",
            ) from error


def require_past(known_at: datetime | None) -> None:
    if known_at is not None and known_at > now():
        raise Invalid(
            "known_at_in_future",
            f"Nobody knows yet what the register will know at {known_at.isoformat()}.",
            field="known_at",
            remedy="Leave known_at out to read what is known now.",
        )


def read_known_at(text: str | None) -> datetime | None:
    """Return the moment that a command names, as the parameter `known_at` of a request is read.

    Raises
    ------
    Invalid
        ``request_invalid`` or ``known_at_in_future``.
    """
    if text is None:
        return None
    try:
        known_at = _TIME.validate_python(text)
    except ValidationError as error:
        raise Invalid(
            "request_invalid",
            f"{text!r} is no time.",
            field="known_at",
            remedy='Write "2026-07-28T09:00:00Z".',
        ) from error
    require_past(known_at)
    return known_at


LegalSessionDep = Annotated[ReadSession, Depends(get_legal_session, scope="function")]
"""For every other read of legal facts: the same queries, on the tables or on their past."""


@dataclass(frozen=True, slots=True)
class ChainTime:
    """What of the chain is asked for: at which block or time, and as known at which moment."""

    as_of: int | datetime | None
    known_at: datetime | None


async def get_chain_time(as_of: AsOfParam = None, known_at: KnownAtParam = None) -> ChainTime:
    """Read `as_of` and `known_at` of a question about the chain.

    Raises
    ------
    Invalid
        ``as_of_malformed`` or ``known_at_in_future``.
    """
    require_past(known_at)
    return ChainTime(read_as_of(as_of), known_at)


ChainTimeDep = Annotated[ChainTime, Depends(get_chain_time)]
"""For reads of what is projected: after a reorg, `known_at` still tells the branch of then."""

"""Identifiers: UUIDv7 (RFC 9562), which sort by the moment they were made."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

_VERSION = 7
FIRST_MS = 1_577_836_800_000
LAST_MS = 4_102_444_800_000


def new_id() -> UUID:
    return uuid7()


def made_at(made: UUID) -> datetime:
    """Return when an id of ours was made."""
    return datetime.fromtimestamp(int.from_bytes(made.bytes[:6], "big") / 1000, UTC)


def first_id_of(moment: datetime) -> UUID:
    """Return what every id that is made from this moment on is greater than."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def is_id(raw: bytes) -> bool:
    """Tell whether 16 bytes have the form of an id of ours, made between 2020 and 2100."""
    found = UUID(bytes=raw)
    made_at_ms = int.from_bytes(raw[:6], "big")
    return found.version == _VERSION and FIRST_MS <= made_at_ms < LAST_MS

"""Codes for rows that bring none: ``OKR-AAA-0000`` onward, under one prefix."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import islice

from sqlalchemy import text
from sqlmodel import Session

from registry.kernel.errors import Conflict, Invalid

_PREFIX = re.compile(r"[A-Z]{3}")
_LETTERS = 26
_NUMBERS = 10_000
LAST = _LETTERS**3 * _NUMBERS

_TAKE = text(
    "INSERT INTO asset_code_series AS series (prefix, next_number) VALUES (:prefix, :number)"
    " ON CONFLICT (prefix) DO UPDATE SET next_number = series.next_number + :number"
    " RETURNING next_number"
)
_TAKEN = text("SELECT code FROM asset WHERE code = ANY(:codes)")


def check_prefix(prefix: str) -> str:
    """Return `prefix` if codes can begin with it.

    Raises
    ------
    Invalid
        ``code_prefix_malformed``.
    """
    if not _PREFIX.fullmatch(prefix):
        raise Invalid(
            "code_prefix_malformed",
            f"{prefix!r} is not a prefix of three capital letters.",
            field="/code_prefix",
        )
    return prefix


def code_at(prefix: str, number: int) -> str:
    """Return the code of a place in the series."""
    letters, rest = divmod(number, _NUMBERS)
    middle = ""
    for _ in range(3):
        letters, letter = divmod(letters, _LETTERS)
        middle = chr(ord("A") + letter) + middle
    return f"{prefix}-{middle}-{rest:04}"


def allot_codes(
    session: Session, prefix: str, count: int, *, besides: Collection[str] = ()
) -> list[str]:
    """Take the next `count` codes that no asset has; others who take some wait until COMMIT.

    Parameters
    ----------
    besides
        Codes that the same batch is about to write.

    Raises
    ------
    Conflict
        ``codes_used_up``.
    """
    free = (code for code in _free_codes(session, prefix, count) if code not in besides)
    return list(islice(free, count))


def _free_codes(session: Session, prefix: str, count: int) -> Iterator[str]:
    connection = session.connection()
    while True:
        after = connection.execute(_TAKE, {"prefix": prefix, "number": count}).scalar_one()
        if after > LAST:
            raise Conflict("codes_used_up", f"Every code that begins with {prefix} is taken.")
        codes = [code_at(prefix, number) for number in range(after - count, after)]
        # Somebody may have chosen one of them by hand.
        taken = set(connection.execute(_TAKEN, {"codes": codes}).scalars())
        yield from (code for code in codes if code not in taken)

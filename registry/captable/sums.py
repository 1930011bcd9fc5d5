"""What all holders of a token have together is its supply: looked at in every commit.

A trigger adds what the rows of `balance` gain to `Token.held_units`, whoever writes them and in
whatever statement; so the look takes one row, however many holders there are (ADR 0040).
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal

from sqlmodel import Session

from registry.captable.bulk import cursor_of


class SumDiffers(Exception):
    """What holders have is not what was minted: nothing of this may be committed.

    Parameters
    ----------
    token_no
        Of the token.
    address
        Where it stands.
    held, supply
        In whole fractions.
    """

    def __init__(self, token_no: int, address: bytes, held: int, supply: int) -> None:
        super().__init__(
            f"the holders of 0x{address.hex()} have {held} units together, and its supply is "
            f"{supply}"
        )
        self.token_no = token_no
        self.address = address
        self.held = held
        self.supply = supply


_DIFFERING = """
SELECT token_no, address, held_units, supply_units FROM token
WHERE token_no = ANY(%(tokens)s) AND held_units <> supply_units ORDER BY token_no LIMIT 1
"""
MINTED = """
SELECT coalesce(sum(CASE WHEN source IS NULL THEN units ELSE 0 END)
  - sum(CASE WHEN target IS NULL THEN units ELSE 0 END), 0) AS units
FROM token_event WHERE token_no = %(token)s AND kind = 1 AND block_number <= %(after)s
"""
"""What there is of a token after a block, by its events."""
# By the history, from which a reorg restores balances.
_DIFFERING_AT = f"""
WITH minted AS ({MINTED}),
held AS (
  SELECT coalesce(sum(balance_units), 0) AS units FROM (
    SELECT DISTINCT ON (holder_no) balance_units FROM balance_history
    WHERE token_no = %(token)s AND block_number <= %(after)s
    ORDER BY holder_no, block_number DESC) AS newest)
SELECT token_no, address, held.units, minted.units FROM token, held, minted
WHERE token_no = %(token)s AND held.units <> minted.units
"""  # noqa: S608 - no value in it


def require_equal(session: Session, tokens: Collection[int]) -> None:
    """Make sure that the holders of each token have its supply, as this transaction leaves it.

    Raises
    ------
    SumDiffers
        Of one of the tokens they do not.
    """
    wrong = find_differing(session, tokens)
    if wrong is not None:
        raise wrong


def find_differing_at(session: Session, token_no: int, block: int) -> SumDiffers | None:
    """Return what would be wrong with a token after its chain went back to a block."""
    with cursor_of(session) as cursor:
        row = cursor.execute(_DIFFERING_AT, {"token": token_no, "after": block}).fetchone()
    return None if row is None else _told(*row)


def find_differing(session: Session, tokens: Collection[int]) -> SumDiffers | None:
    """Return what is wrong with the first token whose holders do not have its supply."""
    with cursor_of(session) as cursor:
        row = cursor.execute(_DIFFERING, {"tokens": list(tokens)}).fetchone()
    return None if row is None else _told(*row)


def _told(token_no: int, address: bytes, held: Decimal, supply: Decimal) -> SumDiffers:
    return SumDiffers(token_no, address, int(held), int(supply))

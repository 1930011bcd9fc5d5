"""One wallet's holding of one token: every change of it, each with its block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session, col, select

from registry.captable.blocks import AsOfBlock, changes_by
from registry.captable.bulk import cursor_of
from registry.captable.entries import holding_at
from registry.captable.models import Holder, Token


@dataclass(frozen=True, slots=True)
class HoldingChange:
    """What a wallet held from a block on.

    Parameters
    ----------
    balance_units, frozen_units : int
        After the block, in whole fractions.
    balance_change, frozen_change : int
        What the block added; negative where it took away, zero where both happened.
    """

    block_number: int
    block_hash: bytes
    mined_at: datetime
    balance_units: int
    frozen_units: int
    balance_change: int
    frozen_change: int


# From the last change that was seen on: what it left is where the first of the page begins.
_CHANGES = """
SELECT h.block_number, b.hash, b.mined_at, h.balance_units, h.frozen_units
FROM balance_history h JOIN chain_block b ON b.chain_id = %(chain)s AND b.number = h.block_number
WHERE h.token_no = %(token)s
  AND h.holder_no = (SELECT holder_no FROM holder WHERE address = %(address)s)
  AND h.block_number >= coalesce((
    SELECT max(p.block_number) FROM balance_history p
    WHERE p.token_no = %(token)s AND p.holder_no = h.holder_no
      AND p.block_number <= %(after)s), 0)
  AND h.block_number <= %(until)s
ORDER BY h.block_number LIMIT %(limit)s
"""


_CHANGES_OF_MANY = """
SELECT n.holder_no, h.block_number, b.hash, b.mined_at, h.balance_units, h.frozen_units
FROM unnest(%(holders)s::int[]) n (holder_no)
CROSS JOIN LATERAL (
  SELECT s.block_number, s.balance_units, s.frozen_units FROM balance_history s
  WHERE s.token_no = %(token)s AND s.holder_no = n.holder_no
    AND s.block_number >= coalesce((
      SELECT max(p.block_number) FROM balance_history p
      WHERE p.token_no = %(token)s AND p.holder_no = n.holder_no
        AND p.block_number <= %(after)s), 0)
    AND s.block_number <= %(until)s) h
JOIN chain_block b ON b.chain_id = %(chain)s AND b.number = h.block_number
ORDER BY n.holder_no, h.block_number
"""


def list_changes(
    session: Session,
    token: Token,
    address: bytes,
    *,
    until: AsOfBlock,
    after: int | None = None,
    limit: int,
) -> Sequence[HoldingChange]:
    """List how a wallet's holding changed, in the order of the chain.

    Parameters
    ----------
    until
        The last block that is looked at.
    after
        Number of the block of the last change that was seen.
    """
    values = {
        "token": token.token_no,
        "chain": token.chain_id,
        "address": address,
        "after": after or 0,
        "until": until.kept,
        "limit": limit + 1,
    }
    with cursor_of(session) as cursor:
        rows: list[_Row] = [
            (number, digest, mined_at, int(units), int(locked))
            for number, digest, mined_at, units, locked in cursor.execute(_CHANGES, values)
        ]
    if until.lost is not None and len(rows) <= limit:
        rows += _lost_rows(session, token, address, until)
    return _changes_of(rows, after)[:limit]


def list_changes_of_many(
    session: Session, token: Token, holders: Sequence[int], *, after: int, until: int
) -> dict[int, list[HoldingChange]]:
    """List the same of many holders, by their numbers, between two blocks that we keep."""
    values = {
        "token": token.token_no,
        "chain": token.chain_id,
        "holders": list(holders),
        "after": after,
        "until": until,
    }
    rows: dict[int, list[_Row]] = {holder_no: [] for holder_no in holders}
    with cursor_of(session) as cursor:
        for holder_no, number, digest, mined_at, units, locked in cursor.execute(
            _CHANGES_OF_MANY, values
        ):
            rows[holder_no].append((number, digest, mined_at, int(units), int(locked)))
    return {holder_no: _changes_of(found, after) for holder_no, found in rows.items()}


def _changes_of(rows: Sequence[_Row], after: int | None) -> list[HoldingChange]:
    """Give what each block changed, of those after one; `rows` begin with what it left."""
    changes = []
    balance = frozen = 0
    for number, digest, mined_at, units, locked in rows:
        if after is None or number > after:
            changed = (units - balance, locked - frozen)
            changes.append(HoldingChange(number, digest, mined_at, units, locked, *changed))
        balance, frozen = units, locked
    return changes


_Row = tuple[int, bytes, datetime, int, int]
"""Block number, its hash and time; balance and frozen part after it."""


def _lost_rows(session: Session, token: Token, address: bytes, until: AsOfBlock) -> list[_Row]:
    """Fold what the lost blocks changed upon what was held at the last that is kept."""
    assert until.lost is not None
    holder = session.exec(select(Holder.holder_no).where(col(Holder.address) == address)).first()
    balance, frozen = holding_at(session, token, address, until.lost.kept)
    rows: list[_Row] = []
    for block, event in until.lost.told([token.token_no]):
        for who, units, locked in changes_by(event):
            if who == holder:
                balance, frozen = balance + units, frozen + locked
                if rows and rows[-1][0] == block.number:
                    rows.pop()
                rows.append((*block, balance, frozen))
    return rows

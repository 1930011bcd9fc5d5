"""One wallet's holding of one token: every change of it, each with its block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from registry.captable.bulk import cursor_of
from registry.captable.models import Token


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


# From the change before the page on: what it left is where the first of the page begins.
_CHANGES = """
SELECT h.block_number, b.hash, b.mined_at, h.balance_units, h.frozen_units
FROM balance_history h JOIN chain_block b ON b.chain_id = %(chain)s AND b.number = h.block_number
WHERE h.token_no = %(token)s
  AND h.holder_no = (SELECT holder_no FROM holder WHERE address = %(address)s)
  AND h.block_number >= %(after)s AND h.block_number <= %(until)s
ORDER BY h.block_number LIMIT %(limit)s
"""


def list_changes(
    session: Session,
    token: Token,
    address: bytes,
    *,
    until: int,
    after: int | None = None,
    limit: int,
) -> Sequence[HoldingChange]:
    """List how a wallet's holding changed, in the order of the chain.

    Parameters
    ----------
    until
        The last block that is looked at.
    after
        Block of the last change that was seen.
    """
    values = {
        "token": token.token_no,
        "chain": token.chain_id,
        "address": address,
        "after": 0 if after is None else after,
        "until": until,
        "limit": limit if after is None else limit + 1,
    }
    with cursor_of(session) as cursor:
        rows = cursor.execute(_CHANGES, values).fetchall()
    changes = []
    balance = frozen = 0
    for number, digest, mined_at, units, locked in rows:
        if number != after:
            changed = (int(units) - balance, int(locked) - frozen)
            changes.append(
                HoldingChange(number, digest, mined_at, int(units), int(locked), *changed)
            )
        balance, frozen = int(units), int(locked)
    return changes

"""A page of the cap table, and the block of which it speaks: asked most often, so asked plainly.

One statement each, composed once and given to the driver: making objects of everything that is
known of a hundred holders takes several times as long as the database does to find them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.held import held_told
from registry.captable.models import Token
from registry.captable.times import LAST_AT


@dataclass(frozen=True, slots=True, order=True)
class HeldUnits:
    """What one address holds of one token, in whole fractions."""

    address: bytes
    balance_units: int
    frozen_units: int


def list_held(
    session: Session, token: Token, block: AsOfBlock, *, after: bytes | None = None, limit: int
) -> list[HeldUnits]:
    """List a page of the cap table at `block`, by address: how much, and not who they are."""
    values = {"token": token.token_no, "block": block.number, "after": after or b""}
    # The limit is written, not told: else no plan but one made for each page seems cheap enough.
    query = _PAGE.format(held=held_told(token, block), limit=int(limit)).encode()
    with cursor_of(session) as cursor:
        # Python reads a text of digits several times as fast as the driver its decimals.
        rows = cursor.execute(query, values, binary=True).fetchall()
        return [HeldUnits(address, int(has), int(locked)) for address, has, locked in rows]


_PAGE = """
SELECT h.address, x.balance_units::text, x.frozen_units::text
FROM ({held}) x JOIN holder h USING (holder_no)
WHERE h.address > %(after)s ORDER BY h.address LIMIT {limit}
"""


def find_block(
    session: Session, chain_id: int, as_of: int | datetime | None
) -> tuple[Any, ...] | None:
    """Find how far a chain is projected, and its last block at or before `as_of`.

    Returns
    -------
    tuple | None
        Last block and head that the cursor names, why it is degraded; number, hash and time of
        the block, each None where there is none. None where the chain was never read.
    """
    by, value = "time" if isinstance(as_of, datetime) else "number", as_of
    if value is None:
        value = _NO_BLOCK_IS_AFTER
    with cursor_of(session) as cursor:
        return cursor.execute(_BLOCK[by], {"chain": chain_id, "by": value}).fetchone()


_NO_BLOCK_IS_AFTER = 2**63 - 1
_NUMBERED = """
SELECT number, hash, mined_at FROM chain_block
WHERE chain_id = c.chain_id AND number <= %(by)s ORDER BY number DESC LIMIT 1
"""
_BLOCK = {
    by: f"""
SELECT c.number, c.head_number, c.degraded, b.number, b.hash, b.mined_at
FROM sync_cursor c LEFT JOIN LATERAL ({last}) b ON true
WHERE c.chain_id = %(chain)s
""".encode()  # noqa: S608 - statements of our own
    for by, last in (("number", _NUMBERED), ("time", LAST_AT))
}

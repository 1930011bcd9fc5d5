"""Since when addresses have held a token without a break, up to a block."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlmodel import Session

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.models import Token

# The first change after they last had nothing.
_FIRST = """
SELECT min(c.block_number) AS number FROM balance_history c
WHERE c.token_no = {no} AND c.holder_no = {holder} AND c.block_number <= %(block)s
  AND c.block_number > coalesce((
    SELECT max(z.block_number) FROM balance_history z
    WHERE z.token_no = {no} AND z.holder_no = {holder}
      AND z.block_number <= %(block)s AND z.balance_units = 0), -1)
"""
_SINCE = f"""
SELECT h.address, b.mined_at
FROM holder h CROSS JOIN LATERAL ({_FIRST.format(no="%(token)s", holder="h.holder_no")}) a
JOIN chain_block b ON b.chain_id = %(chain)s AND b.number = a.number
WHERE h.address = ANY(%(addresses)s)
"""  # noqa: S608 - no value in it
SINCE_OF_ONE = f"""
SELECT c.mined_at FROM ({_FIRST.format(no="b.token_no", holder="b.holder_no")}) first
JOIN chain_block c ON c.chain_id = %(chain)s AND c.number = first.number
"""  # noqa: S608 - no value in it
"""The same of the holder of a balance ``b``."""


def held_since(
    session: Session, token: Token, block: AsOfBlock, addresses: Collection[bytes]
) -> dict[bytes, datetime]:
    """Return the time of the block from which on each has held; who holds nothing is left out."""
    asked = {
        "token": token.token_no,
        "chain": token.chain_id,
        "block": block.kept,
        "addresses": list(addresses),
    }
    with cursor_of(session) as cursor:
        return dict(cursor.execute(_SINCE, asked).fetchall())

"""Which wallets a token refused to move as a whole, at a block."""

from __future__ import annotations

from collections.abc import Collection

from sqlmodel import Session

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.models import EventKind, Token

FROZEN_WHOLE = f"""
SELECT e.extra ->> 'frozen' = 'true' AS whole FROM token_event e
WHERE e.token_no = b.token_no AND e.target = b.holder_no
  AND e.kind = {EventKind.ADDRESS_FROZEN:d} AND e.block_number <= %(block)s
ORDER BY e.block_number DESC, e.log_index DESC LIMIT 1
"""  # noqa: S608 - a number of our own
"""Of the holder of a balance ``b``, by one probe of an index; no row for who was never frozen."""
_OF_SOME = f"""
SELECT b.address, b.holder_no, coalesce(f.whole, false)
FROM (SELECT %(token)s::int4 AS token_no, holder_no, address FROM holder
  WHERE address = ANY(%(addresses)s)) b
LEFT JOIN LATERAL ({FROZEN_WHOLE}) f ON true
"""  # noqa: S608 - no value in it


def frozen_whole(
    session: Session, token: Token, block: AsOfBlock, addresses: Collection[bytes]
) -> set[bytes]:
    """Return which of these were frozen at `block`, also of a branch that a reorg has taken."""
    asked = {"token": token.token_no, "block": block.kept, "addresses": list(addresses)}
    lost = block.lost.freezes(token.token_no) if block.lost else {}
    with cursor_of(session) as cursor:
        found = cursor.execute(_OF_SOME, asked).fetchall()
    return {address for address, holder_no, whole in found if lost.get(holder_no, whole)}

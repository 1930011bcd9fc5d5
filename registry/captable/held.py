"""Who held how much of a token at a block, as one relation of SQL that others read from."""

from __future__ import annotations

from registry.captable.models import Token

# Who has not changed since the block is told by `balance` alone, as in `service.list_holders`.
_HELD = """
SELECT b.holder_no,
  CASE WHEN b.block_number <= {block} THEN b.balance_units ELSE s.balance_units END
    AS balance_units,
  CASE WHEN b.block_number <= {block} THEN b.frozen_units ELSE s.frozen_units END
    AS frozen_units
FROM balance b
LEFT JOIN LATERAL (
  SELECT
    coalesce(later_balances[width_bucket({block}::int8, later_blocks)], balance_units)
      AS balance_units,
    coalesce(later_frozen[width_bucket({block}::int8, later_blocks)], frozen_units)
      AS frozen_units
  FROM balance_at
  WHERE token_no = {token} AND holder_no = b.holder_no AND block_number <= {block}
    AND b.block_number > {block}
  ORDER BY block_number DESC LIMIT 1) s ON true
WHERE b.token_no = {token}
  AND CASE WHEN b.block_number <= {block} THEN b.balance_units ELSE s.balance_units END > 0
"""


def held_at(token: Token, number: int) -> str:
    """Give the relation (holder_no, balance_units, frozen_units); the block must be projected."""
    # COPY takes no parameters; both are integers of our own.
    return _HELD.format(block=int(number), token=int(token.token_no or 0))

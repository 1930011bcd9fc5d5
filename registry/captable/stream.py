"""The whole cap table as of a block, streamed: a million holders without a million objects."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session

from registry.captable import bulk
from registry.captable.models import Token

HeldRow = tuple[bytes, int, int]
"""Address, balance and frozen part, in whole fractions."""

# Who has not changed since the block is told by `balance` alone, as in `service.list_holders`.
_AS_OF = """
COPY (
  SELECT h.address,
    CASE WHEN b.block_number <= {block} THEN b.balance_units ELSE s.balance_units END,
    CASE WHEN b.block_number <= {block} THEN b.frozen_units ELSE s.frozen_units END
  FROM balance b JOIN holder h USING (holder_no)
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
) TO STDOUT (FORMAT binary)
"""


def stream_holders(session: Session, token: Token, number: int) -> Iterator[HeldRow]:
    """Yield who held the token at block `number`, in no order; the block must be projected."""
    # COPY takes no parameters; both are integers of our own.
    query = _AS_OF.format(block=int(number), token=int(token.token_no or 0))
    with bulk.cursor_of(session) as cursor, cursor.copy(query.encode()) as copy:
        copy.set_types(["bytea", "numeric", "numeric"])
        for address, balance, frozen in copy.rows():
            yield address, int(balance), int(frozen)


_NOW = """
SELECT h.address, b.balance_units::text, b.frozen_units::text
FROM balance b JOIN holder h USING (holder_no) WHERE b.token_no = %s
"""


def read_all_holdings(session: Session, token: Token) -> dict[bytes, tuple[int, int]]:
    """Return what everybody has now who ever had any: balance and frozen part by address."""
    with bulk.cursor_of(session) as cursor:
        # Python reads a text of digits several times as fast as the driver its decimals.
        cursor.execute(_NOW, [token.token_no], binary=True)
        return {address: (int(has), int(frozen)) for address, has, frozen in cursor}

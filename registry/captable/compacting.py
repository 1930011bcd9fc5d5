"""Folding the history that is final into spans, so that it is small and lies by holder.

A token that is followed live has a row for each change of each holder, in the order of the chain.
Of what no reorg is expected to take back any more, the rows of one holder become one, as a bulk
load writes them (ADR 0029): nothing is forgotten, and ``balance_history`` says the same before
and after (ADR 0039).
"""

from __future__ import annotations

from sqlmodel import Session

from registry.captable.bulk import cursor_of

SPAN = 48
"""Changes in one row: more would not fit beside others on a page, and be stored apart."""
LEAST = 8
"""As many rows a holder must have: each of them may mean that a whole span is written again."""

# Rows of a holder that are full, and such that are not final as a whole, stay; so do all before
# the newest full one, since spans of one holder must not overlap.
_COMPACT = """
WITH slice AS (
  SELECT holder_no FROM balance
  WHERE token_no = %(token)s AND holder_no > %(after)s ORDER BY holder_no LIMIT %(limit)s),
of_slice AS (
  SELECT b.holder_no, b.block_number,
    coalesce(cardinality(b.later_blocks), 0) + 1 >= %(span)s AS is_full
  FROM slice, LATERAL (
    SELECT * FROM balance_at
    WHERE token_no = %(token)s AND holder_no = slice.holder_no AND block_number <= %(final)s) b
  WHERE coalesce(b.later_blocks[cardinality(b.later_blocks)], b.block_number) <= %(final)s),
due AS (
  SELECT holder_no, coalesce(max(block_number) FILTER (WHERE is_full), -1) AS compacted
  FROM of_slice GROUP BY holder_no),
loose AS (
  SELECT holder_no, min(block_number) AS first, max(block_number) AS last
  FROM of_slice JOIN due USING (holder_no)
  WHERE block_number > compacted GROUP BY holder_no HAVING count(*) >= %(least)s),
gone AS (
  DELETE FROM balance_at b USING loose l
  WHERE b.token_no = %(token)s AND b.holder_no = l.holder_no
    AND b.block_number BETWEEN l.first AND l.last
  RETURNING b.*),
change AS (
  SELECT holder_no, block_number, balance_units, frozen_units FROM gone
  UNION ALL
  SELECT g.holder_no, c.block_number, c.balance_units, coalesce(c.frozen_units, g.frozen_units)
  FROM gone g, unnest(g.later_blocks, g.later_balances, g.later_frozen)
    AS c(block_number, balance_units, frozen_units)),
placed AS (
  SELECT *,
    (row_number() OVER (PARTITION BY holder_no ORDER BY block_number) - 1) / %(span)s AS part
  FROM change),
span AS (
  SELECT holder_no, part, array_agg(block_number ORDER BY block_number) AS blocks,
    array_agg(balance_units ORDER BY block_number) AS balances,
    array_agg(frozen_units ORDER BY block_number) AS frozen,
    min(frozen_units) <> max(frozen_units) AS froze
  FROM placed GROUP BY holder_no, part),
made AS (
  INSERT INTO balance_at (token_no, holder_no, block_number, balance_units, frozen_units,
    later_blocks, later_balances, later_frozen)
  SELECT %(token)s, holder_no, blocks[1], balances[1], frozen[1],
    nullif(blocks[2:], '{}'), nullif(balances[2:], '{}'), CASE WHEN froze THEN frozen[2:] END
  FROM span ORDER BY holder_no, part)
SELECT (SELECT max(holder_no) FROM slice), (SELECT count(*) FROM gone)
"""


def compact(
    session: Session,
    token_no: int,
    *,
    final: int,
    after: int,
    limit: int,
    span: int = SPAN,
    least: int = LEAST,
) -> tuple[int | None, int]:
    """Compact the history of the next holders of a token.

    The caller has locked the chain's cursor: nobody may take blocks back meanwhile.

    Parameters
    ----------
    final
        Number of the newest block that is final; nothing above it is touched.
    after
        Number of the last holder that was looked at.
    limit
        How many to look at.
    span, least
        Changes in one row at most; rows that a holder must have.

    Returns
    -------
    tuple
        Number of the last holder now, None where there is nobody left; rows that were folded.
    """
    where = {
        "token": token_no,
        "final": final,
        "after": after,
        "limit": limit,
        "span": span,
        "least": least,
    }
    with cursor_of(session) as cursor:
        row = cursor.execute(_COMPACT, where).fetchone()
    assert row is not None
    last, folded = row
    return last, folded

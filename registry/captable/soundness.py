"""Whether the projection agrees with itself: history with events, balances with history."""

from __future__ import annotations

from sqlmodel import Session

from registry.captable.bulk import cursor_of

_HISTORY = """
WITH moved AS (
  SELECT source AS holder_no, block_number, -units AS units, 0 AS frozen FROM token_event
  WHERE token_no = %(token)s AND kind = 1 AND source IS NOT NULL
  UNION ALL
  SELECT target, block_number, units, 0 FROM token_event
  WHERE token_no = %(token)s AND kind = 1 AND target IS NOT NULL
  UNION ALL
  SELECT target, block_number, 0, CASE kind WHEN 3 THEN units ELSE -units END FROM token_event
  WHERE token_no = %(token)s AND kind IN (3, 4)
), of_block AS (
  SELECT holder_no, block_number, sum(units) AS units, sum(frozen) AS frozen
  FROM moved GROUP BY holder_no, block_number
), folded AS (
  SELECT holder_no, block_number, sum(units) OVER before AS units, sum(frozen) OVER before AS frozen
  FROM of_block WINDOW before AS (PARTITION BY holder_no ORDER BY block_number)
)
SELECT coalesce(f.holder_no, h.holder_no) AS holder_no,
  coalesce(f.block_number, h.block_number) AS block_number FROM folded f
FULL JOIN (SELECT * FROM balance_history WHERE token_no = %(token)s) h
  ON h.holder_no = f.holder_no AND h.block_number = f.block_number
WHERE f.units IS DISTINCT FROM h.balance_units OR f.frozen IS DISTINCT FROM h.frozen_units
"""
_BALANCES = """
SELECT coalesce(n.holder_no, l.holder_no) AS holder_no,
  least(n.block_number, l.block_number) AS block_number
FROM (SELECT * FROM balance WHERE token_no = %(token)s) n
FULL JOIN (
  SELECT DISTINCT ON (holder_no) holder_no, block_number, balance_units, frozen_units,
    max(balance_units) OVER (PARTITION BY holder_no) AS most
  FROM balance_history WHERE token_no = %(token)s ORDER BY holder_no, block_number DESC) l
  ON l.holder_no = n.holder_no
WHERE n.balance_units IS DISTINCT FROM l.balance_units
  OR n.frozen_units IS DISTINCT FROM l.frozen_units
  OR n.block_number IS DISTINCT FROM l.block_number
  OR n.most_units < l.most::float8
"""


_FIRST = "SELECT min(block_number) FROM ({query}) AS wrong"
_ROWS = """
SELECT holder.address, block_number FROM ({query}) AS wrong JOIN holder USING (holder_no)
ORDER BY block_number, address LIMIT %(limit)s
"""
Row = tuple[bytes, int]
"""The address of a holder, and a block."""


def first_unsound_block(session: Session, token_no: int) -> int | None:
    """Return the first block at which history is not what the events give, if there is one."""
    return _first(session, token_no, _HISTORY)


def first_stray_balance(session: Session, token_no: int) -> int | None:
    """Return the block since which a balance of today should be what it is not, if there is one.

    Also where the bound of what its holder ever had is below it: who was large would not be found.
    """
    return _first(session, token_no, _BALANCES)


def unsound_rows(session: Session, token_no: int, *, limit: int) -> list[Row]:
    """List whose history is, at which blocks, not what the events give; the first ones."""
    return _rows(session, token_no, _HISTORY, limit)


def stray_balances(session: Session, token_no: int, *, limit: int) -> list[Row]:
    """List whose balance of today is not the last of their history, or its bound; some of them."""
    return _rows(session, token_no, _BALANCES, limit)


def _first(session: Session, token_no: int, query: str) -> int | None:
    with cursor_of(session) as cursor:
        row = cursor.execute(_FIRST.format(query=query), {"token": token_no}).fetchone()
    return row[0] if row else None


def _rows(session: Session, token_no: int, query: str, limit: int) -> list[Row]:
    with cursor_of(session) as cursor:
        rows = cursor.execute(_ROWS.format(query=query), {"token": token_no, "limit": limit})
        return [(bytes(address), number) for address, number in rows.fetchall()]

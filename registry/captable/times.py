"""Blocks by their times: of which block a moment speaks.

The last block that is not after a moment is asked for, and the first that is not before one. Times
rise with the numbers, so that an index finds either at once; but a chain of one operator may have
its clock set back. How far up that may have happened stands with the cursor, and up to there the
blocks themselves are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlmodel import Session, col, select

from registry.captable import bulk
from registry.captable.events import ProjectedBlock
from registry.captable.models import ChainBlock, SyncCursor

LAST_AT = """
WITH latest AS (
  SELECT number, hash, mined_at FROM chain_block
  WHERE chain_id = c.chain_id AND mined_at <= %(by)s
  ORDER BY mined_at DESC, number DESC LIMIT 1)
SELECT * FROM (
  (SELECT * FROM latest)
  UNION ALL
  (SELECT number, hash, mined_at FROM chain_block
  WHERE chain_id = c.chain_id AND mined_at <= %(by)s
    AND number > (SELECT number FROM latest) AND number <= c.unordered_upto
  ORDER BY number DESC LIMIT 1)) each
ORDER BY number DESC LIMIT 1
"""
"""The last block of the cursor `c` that is not after a moment."""

STEPPED = """
  latest_mined_at = greatest(latest_mined_at, %(latest)s),
  unordered_upto = CASE
    WHEN %(is_unordered)s OR %(earliest)s < latest_mined_at THEN %(to_number)s
    ELSE unordered_upto END
"""
"""What the cursor notes of the times of the blocks over which it steps (see `times_of`)."""

CUT = """
  latest_mined_at = greatest(%(mined_at)s, (
    SELECT max(mined_at) FROM chain_block WHERE chain_id = %(chain)s AND number < %(number)s)),
  unordered_upto = CASE WHEN unordered_upto > %(number)s THEN %(number)s ELSE unordered_upto END
"""
"""The same where blocks above one are taken back."""

# A block that is added to the others is in its place if it is among its neighbours.
_ADDED = """
UPDATE sync_cursor c SET
  latest_mined_at = greatest(c.latest_mined_at, %(latest)s),
  unordered_upto = CASE WHEN EXISTS (
      SELECT FROM unnest(%(numbers)s::int8[]) n (added)
      JOIN chain_block b ON b.chain_id = c.chain_id AND b.number = n.added
      WHERE (
        SELECT mined_at FROM chain_block p WHERE p.chain_id = c.chain_id AND p.number < b.number
        ORDER BY p.number DESC LIMIT 1) > b.mined_at
      OR (
        SELECT mined_at FROM chain_block f WHERE f.chain_id = c.chain_id AND f.number > b.number
        ORDER BY f.number LIMIT 1) < b.mined_at)
    THEN c.number ELSE c.unordered_upto END
WHERE c.chain_id = %(chain)s
"""


def times_of(blocks: Iterable[ProjectedBlock]) -> dict[str, datetime | bool]:
    """Give what `STEPPED` asks for, of blocks in their order; at least one."""
    times = [block.mined_at for block in blocks]
    in_order = sorted(times)
    return {"earliest": in_order[0], "latest": in_order[-1], "is_unordered": times != in_order}


def note_added(session: Session, chain_id: int, blocks: Iterable[ProjectedBlock]) -> None:
    """Note the times of blocks that were added below the cursor."""
    added = list(blocks)
    if not added:
        return
    latest = max(block.mined_at for block in added)
    numbers = [block.number for block in added]
    with bulk.cursor_of(session) as cursor:
        cursor.execute(_ADDED, {"chain": chain_id, "latest": latest, "numbers": numbers})
    bulk.forget(session, SyncCursor)


def first_since(
    session: Session, chain_id: int, since: datetime, *, upto: int | None = None
) -> int | None:
    """Return the number of the first block that is not before a time; None where there is none.

    Parameters
    ----------
    upto
        No block above this one is looked at.
    """
    where = [col(ChainBlock.chain_id) == chain_id, col(ChainBlock.mined_at) >= since]
    if upto is not None:
        where.append(col(ChainBlock.number) <= upto)
    query = select(ChainBlock.number).where(*where).limit(1)
    found = session.exec(query.order_by(col(ChainBlock.mined_at), col(ChainBlock.number))).first()
    cursor = session.get(SyncCursor, chain_id)
    unordered_upto = None if cursor is None else cursor.unordered_upto
    if found is None or unordered_upto is None or found > unordered_upto:
        return found
    return session.exec(query.order_by(col(ChainBlock.number))).first()

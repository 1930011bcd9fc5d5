"""Blocks by their times: of which block a moment speaks.

The last block that is not after a moment is asked for, and the first that is not before one. Times
rise with the numbers, so that an index finds either at once; but a chain of one operator may have
its clock set back. By how much that ever happened stands with the cursor: what the index gives is
then looked for among the blocks within as much of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import accumulate

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from registry.captable import bulk
from registry.captable.events import ProjectedBlock
from registry.captable.models import ChainBlock, SyncCursor

LAST_AT = """
WITH latest AS (
  SELECT number, hash, mined_at FROM chain_block
  WHERE chain_id = c.chain_id AND mined_at <= %(by)s
  ORDER BY mined_at DESC, number DESC LIMIT 1),
near AS MATERIALIZED (
  SELECT number, hash, mined_at FROM chain_block
  WHERE chain_id = c.chain_id AND mined_at <= %(by)s
    AND mined_at >= (SELECT mined_at FROM latest) - c.set_back)
SELECT * FROM (SELECT * FROM latest UNION ALL SELECT * FROM near) each
ORDER BY number DESC LIMIT 1
"""
"""The last block of the cursor `c` that is not after a moment."""

STEPPED = """
  latest_mined_at = greatest(latest_mined_at, %(latest)s),
  set_back = nullif(greatest(
    set_back, %(fall)s, latest_mined_at - %(earliest)s, interval '0'), interval '0')
"""
"""What the cursor notes of the times of the blocks over which it steps (see `times_of`)."""

CUT = """
  (latest_mined_at, set_back) = (
    SELECT greatest(%(mined_at)s, max(mined_at)),
      nullif(greatest(set_back, max(mined_at) - %(mined_at)s, interval '0'), interval '0')
    FROM chain_block WHERE chain_id = %(chain)s AND number < %(number)s)
"""
"""The same where blocks above one are taken back, which may be stored only now."""

# Between its neighbours a block is in its place. If not, it may be as far from it as these are from
# each other, beyond what these are themselves.
_ADDED = """
WITH added AS (
  SELECT b.mined_at,
    (SELECT p.mined_at FROM chain_block p
    WHERE p.chain_id = b.chain_id AND p.number < b.number ORDER BY p.number DESC LIMIT 1) AS before,
    (SELECT f.mined_at FROM chain_block f
    WHERE f.chain_id = b.chain_id AND f.number > b.number ORDER BY f.number LIMIT 1) AS behind
  FROM unnest(%(numbers)s::int8[]) n (number)
  JOIN chain_block b ON b.chain_id = %(chain)s AND b.number = n.number),
told AS (
  SELECT max(mined_at) AS latest, bool_or(before > mined_at OR behind < mined_at) AS is_unordered,
    greatest(max(before), max(mined_at)) - least(min(behind), min(mined_at)) AS span
  FROM added)
UPDATE sync_cursor SET
  latest_mined_at = greatest(latest_mined_at, latest),
  set_back = CASE WHEN is_unordered
    THEN coalesce(set_back, interval '0') + span ELSE set_back END
FROM told WHERE chain_id = %(chain)s
"""


def times_of(blocks: Sequence[ProjectedBlock]) -> dict[str, datetime | timedelta]:
    """Give what `STEPPED` asks for, of blocks in their order; at least one."""
    times = [block.mined_at for block in blocks]
    in_order = sorted(times)
    fall = timedelta(0)
    if times != in_order:
        fall = max(most - each for each, most in zip(times, accumulate(times, max), strict=True))
    return {"earliest": in_order[0], "latest": in_order[-1], "fall": fall}


def add_blocks(session: Session, chain_id: int, blocks: Sequence[ProjectedBlock]) -> None:
    """Store blocks below the cursor, of which some may be there already, and note their times."""
    bulk.add_blocks(session, chain_id, blocks)
    if not blocks:
        return
    numbers = [block.number for block in blocks]
    with bulk.cursor_of(session) as cursor:
        cursor.execute(_ADDED, {"chain": chain_id, "numbers": numbers})
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
    found = session.exec(
        select(ChainBlock.number, ChainBlock.mined_at)
        .where(*where)
        .order_by(col(ChainBlock.mined_at), col(ChainBlock.number))
        .limit(1)
    ).first()
    if found is None:
        return None
    number, mined_at = found
    cursor = session.get(SyncCursor, chain_id)
    if cursor is None or cursor.set_back is None:
        return number
    near = select(ChainBlock.number).where(
        *where, col(ChainBlock.mined_at) <= mined_at + cursor.set_back
    )
    return min(session.exec(near))


def newest_final(chain_id: int) -> SelectOfScalar[datetime]:
    """Ask for the time of the newest final block, by which a day is over or is not.

    An earlier block that is later than the day does not tell it: where the clock was set back,
    more blocks of that day may come. That it will be set back once more nobody can know.
    """
    final = select(SyncCursor.finalized_number).where(col(SyncCursor.chain_id) == chain_id)
    return (
        select(ChainBlock.mined_at)
        .where(
            col(ChainBlock.chain_id) == chain_id,
            col(ChainBlock.number) <= final.scalar_subquery(),
        )
        .order_by(col(ChainBlock.number).desc())
        .limit(1)
    )

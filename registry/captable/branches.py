"""What the register knew of the chain at a moment, reorgs since then notwithstanding.

Three clocks: a block was mined, we recorded it, and a reorg took it from us. At any moment the
blocks that we believed in are one branch: those of today that were recorded by then, and the
orphans that were recorded by then and taken later (ADR 0036).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from registry.captable.blocks import AsOfBlock, LostBlock, LostBranch
from registry.captable.models import ChainBlock, SyncCursor
from registry.captable.orphans import OrphanBlock
from registry.captable.service import block_at, first_block_since
from registry.captable.times import first_since
from registry.kernel.errors import Conflict, NotFound

NOTHING_KEPT = -1
"""The highest block that is still the chain's, where another chain was followed meanwhile: even the
blocks that both have were recorded anew."""


def known_block_at(
    session: Session,
    chain_id: int,
    as_of: int | datetime | None,
    known_at: datetime | None,
) -> AsOfBlock:
    """Return the last block at or before `as_of` of the branch that we knew at `known_at`.

    Parameters
    ----------
    as_of
        Block number, time, or None for the newest that was known.
    known_at
        None for what is known now.

    Raises
    ------
    Conflict
        ``block_not_synced``: nobody had read it by then.
    NotFound
        It lies before the first block that we knew.
    """
    if known_at is None:
        return block_at(session, chain_id, as_of)
    kept = _last_kept(session, chain_id, known_at, None)
    highest = _last_lost(session, chain_id, known_at, None)
    head = highest.number if highest else kept.number if kept else None
    if head is None:
        raise NotFound("block", f"known at {known_at.isoformat()}")
    if isinstance(as_of, int) and as_of > head:
        raise Conflict(
            "block_not_synced", f"Block {as_of} was not known then; the last was {head}."
        )
    last = highest
    if highest is not None and as_of is not None:
        last = _last_lost(session, chain_id, known_at, as_of)
    if last is not None:
        below = NOTHING_KEPT if kept is None else kept.number
        return AsOfBlock(
            last.number,
            last.hash,
            last.mined_at,
            head - last.number,
            is_orphaned=True,
            lost=LostBranch(session, chain_id, known_at, below, last.number),
            degraded=_degraded(session, chain_id),
        )
    found = _last_kept(session, chain_id, known_at, as_of)
    if found is None:
        raise NotFound("block", f"at or before {as_of}, known at {known_at.isoformat()}")
    return AsOfBlock(
        found.number,
        found.hash,
        found.mined_at,
        head - found.number,
        degraded=_degraded(session, chain_id),
    )


def same_block_at(
    session: Session, chain_id: int, number: int, digest: bytes, known_at: datetime | None
) -> AsOfBlock:
    """Return the block that an earlier answer spoke of, for one that goes on with it.

    Raises
    ------
    Conflict
        ``page_block_lost``: the branch that is asked for has it no more.
    """
    try:
        found = known_block_at(session, chain_id, number, known_at)
    except (Conflict, NotFound):
        # The chain has become shorter, or was read anew from a later block.
        found = None
    if found is None or found.hash != digest:
        raise Conflict(
            "page_block_lost",
            f"A reorg took block {number}, of which the pages before are.",
            remedy="Begin again without a cursor, or give known_at from the first page on.",
        )
    return found


def _degraded(session: Session, chain_id: int) -> str | None:
    """Tell why today's tables, by which what was known is told, are not to be relied on."""
    cursor = session.get(SyncCursor, chain_id)
    return None if cursor is None else cursor.degraded


def first_known_since(
    session: Session, chain_id: int, since: int | datetime | None, until: AsOfBlock
) -> int | None:
    """Return what `first_block_since` does, of the branch of `until`."""
    if until.lost is None or not isinstance(since, datetime):
        return first_block_since(session, chain_id, since)
    kept = first_since(session, chain_id, since, upto=until.kept)
    if kept is not None:
        return kept
    lost = until.lost.first_since(since)
    return until.number + 1 if lost is None else lost


def _last_kept(
    session: Session, chain_id: int, known_at: datetime, as_of: int | datetime | None
) -> ChainBlock | None:
    """Return the newest block of today's chain that was recorded by then."""
    where: list[ColumnElement[bool]] = [
        col(ChainBlock.chain_id) == chain_id,
        col(ChainBlock.recorded_at) <= known_at,
    ]
    if isinstance(as_of, int):
        where.append(col(ChainBlock.number) <= as_of)
    elif as_of is not None:
        where.append(col(ChainBlock.mined_at) <= as_of)
    query = select(ChainBlock).where(*where).order_by(col(ChainBlock.number).desc()).limit(1)
    return session.exec(query).first()


def _last_lost(
    session: Session, chain_id: int, known_at: datetime, as_of: int | datetime | None
) -> LostBlock | None:
    """Return the newest of the blocks that we believed in then and have lost since."""
    where: list[ColumnElement[bool]] = [
        col(OrphanBlock.chain_id) == chain_id,
        col(OrphanBlock.recorded_at) <= known_at,
        col(OrphanBlock.orphaned_at) > known_at,
    ]
    if isinstance(as_of, int):
        where.append(col(OrphanBlock.number) <= as_of)
    elif as_of is not None:
        where.append(col(OrphanBlock.mined_at) <= as_of)
    query = select(OrphanBlock.number, OrphanBlock.hash, OrphanBlock.mined_at).where(*where)
    found = session.exec(query.order_by(col(OrphanBlock.number).desc()).limit(1)).first()
    return None if found is None else LostBlock(*found)

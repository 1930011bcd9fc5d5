"""What the Settlement told of trades, found by the digest that both parties signed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from registry.captable.contract_models import ContractEvent, FollowedContract
from registry.captable.models import ChainBlock, SyncCursor
from registry.captable.times import newest_final
from registry.kernel.rows import among

SETTLEMENT, SETTLED = "Settlement", "Settled"
_DIGEST: ColumnElement[str] = col(ContractEvent.said)["digest"].astext


def is_settled(session: Session, digest: bytes) -> bool:
    """Tell whether the chain shows the trade, final or not."""
    shown = select(ContractEvent.block_number).where(
        col(ContractEvent.event) == SETTLED, _written(digest) == _DIGEST
    )
    return session.exec(shown).first() is not None


def settled_for_good(session: Session, digests: Collection[bytes]) -> set[bytes]:
    """Return which of some trades a final block shows."""
    if not digests:
        return set()
    shown = session.exec(
        select(_DIGEST)
        .join(SyncCursor, col(SyncCursor.chain_id) == col(ContractEvent.chain_id))
        .where(
            col(ContractEvent.event) == SETTLED,
            among(_DIGEST, [_written(digest) for digest in digests]),
            col(ContractEvent.block_number) <= col(SyncCursor.finalized_number),
            col(SyncCursor.chain_doubt).is_(None),
        )
    )
    return {bytes.fromhex(digest.removeprefix("0x")) for digest in shown}


def is_read_for_good(session: Session, chain_id: int, moment: datetime) -> bool:
    """Tell whether every block up to a moment is known and final: what is not there never was.

    That takes a newest final block of later: of a node that stands still, or of a chain at rest,
    nobody knows what comes.
    """
    is_all_read = (
        select(FollowedContract.name)
        .join(SyncCursor, col(SyncCursor.chain_id) == col(FollowedContract.chain_id))
        .where(
            col(FollowedContract.chain_id) == chain_id,
            # What was left out of one token may be left out of the settlement, too.
            col(SyncCursor.degraded).is_(None),
            col(FollowedContract.name) == SETTLEMENT,
            col(FollowedContract.caught_up_to).is_(None),
        )
        .exists()
    )
    newest = session.exec(newest_final(chain_id).where(is_all_read)).first()
    return newest is not None and newest > moment


def mined_at(session: Session, digest: bytes) -> datetime | None:
    """Return the time of the block that shows a trade; None where none is known yet."""
    return session.exec(
        select(ChainBlock.mined_at)
        .join(
            ContractEvent,
            (col(ContractEvent.chain_id) == col(ChainBlock.chain_id))
            & (col(ContractEvent.block_number) == col(ChainBlock.number)),
        )
        .where(col(ContractEvent.event) == SETTLED, _written(digest) == _DIGEST)
    ).first()


def _written(digest: bytes) -> str:
    return f"0x{digest.hex()}"

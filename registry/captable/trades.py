"""What the Settlement told of trades, found by the digest that both parties signed."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, exists
from sqlmodel import Session, col, select

from registry.captable.contract_models import ContractEvent, FollowedContract
from registry.captable.models import ChainBlock, SyncCursor
from registry.kernel.rows import among

SETTLEMENT, SETTLED = "Settlement", "Settled"
_DIGEST: ColumnElement[str] = col(ContractEvent.said)["digest"].astext
CLOCKS_APART = timedelta(minutes=1)
"""By how much a block's time may be behind ours."""


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
            col(SyncCursor.degraded).is_(None),
        )
    )
    return {bytes.fromhex(digest.removeprefix("0x")) for digest in shown}


def is_read_for_good(session: Session, chain_id: int, moment: datetime) -> bool:
    """Tell whether every block up to a moment is known and final: what is not there never was."""
    cursor = session.get(SyncCursor, chain_id)
    if (
        cursor is None
        or cursor.degraded is not None
        or cursor.number < cursor.head_number
        or cursor.checked_at <= moment + CLOCKS_APART
    ):
        return False
    followed = session.exec(
        select(FollowedContract.address).where(
            col(FollowedContract.chain_id) == chain_id,
            col(FollowedContract.name) == SETTLEMENT,
            col(FollowedContract.caught_up_to).is_(None),
        )
    ).first()
    if followed is None:
        return False
    final = -1 if cursor.finalized_number is None else cursor.finalized_number
    unsure = exists().where(
        col(ChainBlock.chain_id) == chain_id,
        col(ChainBlock.number) > final,
        col(ChainBlock.mined_at) <= moment,
    )
    return not session.exec(select(unsure)).one()


def _written(digest: bytes) -> str:
    return f"0x{digest.hex()}"

"""What became of anchors: told by the chain's own events, as the sync projects them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.anchor.models import JournalAnchor
from registry.anchor.service import CONTRACT, LOG
from registry.captable.blocks import AsOfBlock
from registry.captable.contract_models import ContractEvent
from registry.captable.models import ChainBlock, SyncCursor
from registry.kernel.rows import among
from registry.operation.models import FAILED, ON_CHAIN, Operation, PlatformContract

EVENT = "RootAnchored"
LOOKED_AT = 50
"""So many anchors behind an entry are looked at: all but the newest few are on chain."""


class AnchorState(StrEnum):
    """`PENDING` until the sync has read the contract's event; then `ANCHORED`, or `FAILED`."""

    PENDING = "PENDING"
    ANCHORED = "ANCHORED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Anchor:
    """An anchor, and where the chain has it.

    Parameters
    ----------
    contract
        Address of the contract that keeps the roots; None while it does not stand.
    tx_hash, block
        Of its event; None where the chain, as it is projected, has none.
    """

    id: UUID
    chain_id: int
    tree_size: int
    root: bytes
    operation_id: UUID
    state: AnchorState
    contract: bytes | None
    tx_hash: bytes | None = None
    block: AsOfBlock | None = None


def list_anchors(
    session: Session, chain_id: int, *, before: int | None, limit: int
) -> Sequence[Anchor]:
    """List anchors, that of the largest tree first.

    Parameters
    ----------
    before
        Only those of smaller trees than this.
    """
    query = select(JournalAnchor).where(col(JournalAnchor.chain_id) == chain_id)
    if before is not None:
        query = query.where(col(JournalAnchor.tree_size) < before)
    rows = session.exec(query.order_by(col(JournalAnchor.tree_size).desc()).limit(limit)).all()
    return read_anchors(session, chain_id, rows)


def largest_mined(session: Session, chain_id: int) -> int:
    """Return how many entries lie under a root that was mined; 0 where none was."""
    return (
        session.exec(
            select(func.max(JournalAnchor.tree_size))
            .join(Operation, col(Operation.id) == col(JournalAnchor.operation_id))
            .where(col(JournalAnchor.chain_id) == chain_id, col(Operation.state).in_(ON_CHAIN))
        ).one()
        or 0
    )


def find_covering(session: Session, chain_id: int, seq: int) -> Anchor | None:
    """Return the first anchor on chain whose tree has the entry `seq`, if there is one."""
    rows = session.exec(
        select(JournalAnchor)
        .join(Operation, col(Operation.id) == col(JournalAnchor.operation_id))
        .where(
            col(JournalAnchor.chain_id) == chain_id,
            col(JournalAnchor.tree_size) >= seq,
            col(Operation.state).in_(ON_CHAIN),
        )
        .order_by(col(JournalAnchor.tree_size))
        .limit(LOOKED_AT)
    ).all()
    found = read_anchors(session, chain_id, rows)
    return next((anchor for anchor in found if anchor.state is AnchorState.ANCHORED), None)


def read_anchors(
    session: Session, chain_id: int, rows: Sequence[JournalAnchor]
) -> Sequence[Anchor]:
    """Look up what the chain says of anchors."""
    carried = {
        operation.id: operation
        for operation in session.exec(
            select(Operation).where(among(col(Operation.id), [row.operation_id for row in rows]))
        ).all()
    }
    place = session.get(PlatformContract, (chain_id, CONTRACT))
    contract = place.address if place else None
    numbers = {
        row.operation_id: int(carried[row.operation_id].result["block_number"])
        for row in rows
        if "block_number" in carried[row.operation_id].result
    }
    events = _events(session, chain_id, contract, numbers.values())
    blocks = _blocks(session, chain_id, [event.block_number for event in events.values()])
    return [_anchor(row, carried[row.operation_id], contract, events, blocks) for row in rows]


def _anchor(
    row: JournalAnchor,
    operation: Operation,
    contract: bytes | None,
    events: Mapping[tuple[str, str], ContractEvent],
    blocks: Mapping[int, AsOfBlock],
) -> Anchor:
    event = events.get((str(row.tree_size), f"0x{row.root.hex()}"))
    state = AnchorState.FAILED if operation.state in FAILED else AnchorState.PENDING
    return Anchor(
        id=row.id,
        chain_id=row.chain_id,
        tree_size=row.tree_size,
        root=row.root,
        operation_id=row.operation_id,
        state=state if event is None else AnchorState.ANCHORED,
        contract=contract,
        tx_hash=event.tx_hash if event else None,
        block=blocks.get(event.block_number) if event else None,
    )


def _events(
    session: Session, chain_id: int, contract: bytes | None, numbers: Iterable[int]
) -> dict[tuple[str, str], ContractEvent]:
    """Give the events of anchors in some blocks, by size and root as they are written there.

    By block, which the operation's receipt told: the key of the table begins so. After a reorg the
    event of that block is gone, until it is read from another one.
    """
    if contract is None:
        return {}
    rows = session.exec(
        select(ContractEvent).where(
            col(ContractEvent.chain_id) == chain_id,
            among(col(ContractEvent.block_number), set(numbers)),
            col(ContractEvent.address) == contract,
            col(ContractEvent.event) == EVENT,
        )
    ).all()
    log = f"0x{LOG.hex()}"
    return {(row.said["size"], row.said["root"]): row for row in rows if row.said["log"] == log}


def _blocks(session: Session, chain_id: int, numbers: Iterable[int]) -> dict[int, AsOfBlock]:
    cursor = session.get(SyncCursor, chain_id)
    if cursor is None:
        return {}
    rows = session.exec(
        select(ChainBlock).where(
            col(ChainBlock.chain_id) == chain_id,
            among(col(ChainBlock.number), set(numbers)),
        )
    ).all()
    return {
        row.number: AsOfBlock(
            row.number,
            row.hash,
            row.mined_at,
            max(cursor.head_number - row.number, 0),
            degraded=cursor.degraded,
        )
        for row in rows
    }

"""Who could do what to a token, and by which rules: every change of it, as the chain told it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session, col, select

from registry.captable.blocks import AsOfBlock
from registry.captable.models import ChainBlock, EventKind, Holder, Token, TokenEvent

_NAMES = {
    EventKind.AGENT_ADDED: "AgentAdded",
    EventKind.AGENT_REMOVED: "AgentRemoved",
    EventKind.PAUSED: "Paused",
    EventKind.UNPAUSED: "Unpaused",
}
_KINDS = (EventKind.CONTROL, *_NAMES)
Key = tuple[int, int]
"""Block and log index."""


@dataclass(frozen=True, slots=True)
class ControlChange:
    """One change, by the contract of the suite that told it and the name of its event.

    Parameters
    ----------
    said
        The arguments of the event, by name.
    """

    block_number: int
    mined_at: datetime
    log_index: int
    tx_hash: bytes
    contract: str
    event: str
    said: Mapping[str, str]


def list_control_changes(
    session: Session, token: Token, block: AsOfBlock, *, after: Key | None, limit: int
) -> Sequence[ControlChange]:
    """List every change of control up to a block, in the order of the chain."""
    block_after, index_after = after or (0, -1)
    rows = session.exec(
        select(TokenEvent, ChainBlock.mined_at)
        .join(
            ChainBlock,
            (col(ChainBlock.chain_id) == token.chain_id)
            & (col(ChainBlock.number) == col(TokenEvent.block_number)),
        )
        .where(
            col(TokenEvent.token_no) == token.token_no,
            # Said for the planner: all of these are in the small index.
            col(TokenEvent.kind) != EventKind.TRANSFER,
            col(TokenEvent.kind).in_(_KINDS),
            col(TokenEvent.block_number) <= block.kept,
            (col(TokenEvent.block_number) > block_after)
            | (
                (col(TokenEvent.block_number) == block_after)
                & (col(TokenEvent.log_index) > index_after)
            ),
        )
        .order_by(col(TokenEvent.block_number), col(TokenEvent.log_index))
        .limit(limit)
    ).all()
    told = [(event.model_dump(), mined_at) for event, mined_at in rows]
    told += _lost(token, block, (block_after, index_after))
    agents = _addresses(session, (event["target"] for event, _ in told))
    return [_change(event, mined_at, agents) for event, mined_at in told[:limit]]


def _lost(token: Token, block: AsOfBlock, after: Key) -> list[tuple[dict[str, Any], datetime]]:
    """Give those of the branch that a reorg took, where that is what is asked for."""
    if block.lost is None:
        return []
    return [
        (event | {"tx_hash": bytes.fromhex(event["tx_hash"])}, lost.mined_at)
        for lost, event in block.lost.told([token.token_no])
        if event["kind"] in _KINDS and (event["block_number"], event["log_index"]) > after
    ]


def _addresses(session: Session, numbers: Iterable[int | None]) -> dict[int | None, bytes]:
    wanted = {number for number in numbers if number is not None}
    query = select(Holder.holder_no, Holder.address).where(col(Holder.holder_no).in_(wanted))
    return dict(session.exec(query).all())


def _change(
    event: dict[str, Any], mined_at: datetime, agents: Mapping[int | None, bytes]
) -> ControlChange:
    extra = event["extra"] or {}
    if event["kind"] == EventKind.CONTROL:
        contract, name, said = extra["contract"], extra["event"], extra["said"]
    else:
        agent = agents.get(event["target"])
        written = f"0x{agent.hex()}" if agent else extra.get("agent")
        contract, name = "Token", _NAMES[EventKind(event["kind"])]
        said = {"agent": written} if written else {}
    return ControlChange(
        event["block_number"],
        mined_at,
        event["log_index"],
        event["tx_hash"],
        contract,
        name,
        said,
    )

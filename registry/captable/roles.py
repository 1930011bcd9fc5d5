"""Who may act on a token, by its own events."""

from __future__ import annotations

from sqlmodel import Session, col, select

from registry.captable.models import EventKind, Holder, Token, TokenEvent


def list_agents(session: Session, chain_id: int) -> list[tuple[bytes, bytes]]:
    """List the agents that each token of a chain has now: address of the token, of the agent."""
    rows = session.exec(
        select(Token.address, Holder.address, TokenEvent.kind)
        .join(TokenEvent, col(TokenEvent.token_no) == col(Token.token_no))
        .join(Holder, col(Holder.holder_no) == col(TokenEvent.target))
        .where(
            col(Token.chain_id) == chain_id,
            # Said for the planner: all of these are in the small index.
            col(TokenEvent.kind) != EventKind.TRANSFER,
            col(TokenEvent.kind).in_([EventKind.AGENT_ADDED, EventKind.AGENT_REMOVED]),
        )
        .order_by(col(TokenEvent.block_number), col(TokenEvent.log_index))
    )
    newest = {(token, agent): kind for token, agent, kind in rows}
    return sorted(pair for pair, kind in newest.items() if kind == EventKind.AGENT_ADDED)

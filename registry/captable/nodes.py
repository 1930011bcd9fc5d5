"""The nodes of a chain, as the sync last found them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmodel import Session, col, delete, select

from registry.captable.models import NodeWatch
from registry.kernel.clock import now


def list_nodes(session: Session, chain_id: int) -> Sequence[NodeWatch]:
    """List them in the order of RPC_URL; none where there is only one."""
    return session.exec(
        select(NodeWatch)
        .where(col(NodeWatch.chain_id) == chain_id)
        .order_by(col(NodeWatch.position))
    ).all()


def record_nodes(session: Session, chain_id: int, found: Sequence[NodeWatch]) -> None:
    """Write down how the nodes stand; who is not named any more is forgotten."""
    known = {node.position: node for node in list_nodes(session, chain_id)}
    for node in found:
        before = known.get(node.position)
        node.since = node.watched_at = now()
        if before is not None and (before.name, before.state) == (node.name, node.state):
            node.since = before.since
        session.merge(node)
    session.exec(
        delete(NodeWatch).where(
            col(NodeWatch.chain_id) == chain_id, col(NodeWatch.position) > len(found)
        )
    )

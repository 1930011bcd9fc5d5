"""The nodes of a chain, as the sync last found them."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import AwareDatetime
from sqlmodel import Field, Session, SQLModel, col, delete, select

from registry.kernel.clock import now
from registry.kernel.columns import bigint, instant


class NodeWatch(SQLModel, table=True):
    """How one of several nodes of a chain stood when it was last heard (ADR 0034).

    Parameters
    ----------
    position
        Its place in RPC_URL, from 1; a chain with one node has no rows.
    name
        Host and port; the rest of its address may be a secret.
    state
        ``healthy``, ``disagrees``, or why it is left out.
    lag_blocks
        By how much it is behind the newest block that the nodes agree on.
    """

    __tablename__ = "node_watch"

    chain_id: int = bigint(primary_key=True)
    position: int = Field(primary_key=True)
    name: str
    state: str
    detail: str
    lag_blocks: int = bigint()
    since: AwareDatetime = instant(nullable=False)
    watched_at: AwareDatetime = instant(nullable=False)

    @property
    def is_healthy(self) -> bool:
        return self.state == "healthy"

    @property
    def disagrees(self) -> bool:
        """Whether no majority says that it is wrong, nor that it is right."""
        return self.state == "disagrees"


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

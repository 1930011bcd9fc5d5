"""/healthz, /readyz, /metrics: is the service alive, ready, and what is it doing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from fastapi import Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel

from api.deps import ReadSessionDep, ServicesDep
from api.metrics import observe
from api.routes.router import open_router
from api.schemas.common import address_of
from registry.captable.degraded import difference_of, list_differing
from registry.captable.models import SyncCursor
from registry.captable.nodes import NodeWatch, list_nodes
from registry.journal.health import is_broken
from registry.kernel.clock import now
from registry.kernel.settings import FollowedChain, Settings
from registry.operation import service as operations

router = open_router("service")

SYNC_STALE_AFTER = timedelta(seconds=30)


class Health(BaseModel):
    """The process answers."""

    status: str


class Readiness(BaseModel):
    """Whether what we answer can be relied on, and why not.

    `warnings` are what an operator should mend before it stops something.
    """

    ready: bool
    reasons: list[str]
    warnings: list[str]
    block_number: int | None
    head_number: int | None
    checked_at: datetime | None


@router.get("/healthz")
def healthz() -> Health:
    """Tell that the process is alive."""
    return Health(status="alive")


@router.get("/readyz", responses={503: {"model": Readiness}})
def readyz(session: ReadSessionDep, services: ServicesDep, response: Response) -> Readiness:
    """Tell whether the database answers, the chain is read to its head, and the journal holds."""
    cursor = session.get(SyncCursor, services.settings.chain_id)
    reasons = []
    if cursor is None:
        reasons.append("the chain has not been read yet")
    else:
        # A token that differs may have been found since, while the chain is in doubt still.
        reasons += dict.fromkeys(filter(None, (cursor.chain_doubt, cursor.degraded)))
        if cursor.checked_at < now() - SYNC_STALE_AFTER:
            reasons.append("the chain was not read for 30 seconds")
    nodes = list_nodes(session, services.settings.chain_id)
    reasons += [_said(node) for node in nodes if node.disagrees]
    if is_broken(session):
        reasons.append("the newest seal of the journal does not hold (rule AUD-01)")
    response.status_code = 503 if reasons else 200
    return Readiness(
        ready=not reasons,
        reasons=reasons,
        warnings=[
            *_low_funds(session, services.settings.chain_id),
            *(_said(node) for node in nodes if not node.is_healthy),
            *_other_chains(session, services.settings.followed_chains),
            *_differing(session, services.settings),
        ],
        block_number=cursor.number if cursor else None,
        head_number=cursor.head_number if cursor else None,
        checked_at=cursor.checked_at if cursor else None,
    )


def _other_chains(session: ReadSessionDep, chains: Sequence[FollowedChain]) -> list[str]:
    """Say what is wrong with the chains on which nothing of ours stands."""
    said = []
    for chain in chains:
        cursor = session.get(SyncCursor, chain.chain_id)
        if cursor is None or cursor.checked_at < now() - SYNC_STALE_AFTER:
            said.append(f"chain {chain.chain_id} was not read for 30 seconds")
        elif cursor.degraded:
            said.append(f"chain {chain.chain_id}: {cursor.degraded}")
    return said


def _differing(session: ReadSessionDep, settings: Settings) -> list[str]:
    """Say which adopted tokens differ: nothing of ours waits for them."""
    chains = [settings.chain_id, *(chain.chain_id for chain in settings.followed_chains)]
    return [
        f"chain {chain_id}: {difference_of(tokens)}"
        for chain_id in chains
        if (tokens := list_differing(session, chain_id, foreign=True))
    ]


def _low_funds(session: ReadSessionDep, chain_id: int) -> list[str]:
    return [
        f"{address_of(watch.signer)} ({watch.roles}) has {watch.balance_wei} wei, which lasts for "
        f"fewer than {watch.wanted_operations} operations"
        for watch in operations.list_signers(session, chain_id)
        if watch.is_low
    ]


def _said(node: NodeWatch) -> str:
    return f"node {node.position} ({node.name}) {node.state}: {node.detail}"


@router.get("/metrics", response_class=Response)
def metrics(session: ReadSessionDep, services: ServicesDep) -> Response:
    """Give the figures of the service to Prometheus."""
    observe(session, services.settings.chain_id)
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

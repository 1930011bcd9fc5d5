"""/v1/policies: thresholds of the law and of the house, each with its source and its day."""

from __future__ import annotations

from uuid import UUID

from api.as_of import KnownSessionDep, LegalTimeParam
from api.deps import ActorDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.common import Page
from api.schemas.policies import PolicyCreate, PolicyRead, PolicyRowRead
from registry.kernel.clock import day_of, now
from registry.policy import service as policies
from registry.policy.models import PolicyName

router = resource_router("policies")


@router.get("/policies")
def list_policies(session: KnownSessionDep, as_of: LegalTimeParam = None) -> list[PolicyRead]:
    """List every threshold as it holds now, or held at a time."""
    day = day_of(as_of or now())
    return [PolicyRead.of(policy) for policy in policies.list_policies(session, day)]


@router.get("/policies/rows")
def list_policy_rows(
    session: KnownSessionDep,
    paging: PagingDep,
    as_of: LegalTimeParam = None,
    name: PolicyName | None = None,
) -> Page[PolicyRowRead]:
    """List every value that was ever proposed, or those that began by a time."""
    until = day_of(as_of) if as_of else None
    rows = policies.list_policy_rows(
        session, name=name, until=until, after=paging.after_id, limit=paging.fetch
    )
    return paging.page(rows, lambda row: str(row.id), PolicyRowRead.of)


@router.post("/policies/rows", status_code=201, dependencies=IDEMPOTENT)
def propose_policy(body: PolicyCreate, session: SessionDep, actor: ActorDep) -> PolicyRowRead:
    """Propose a threshold from a day on; another person confirms."""
    row = policies.propose_policy(
        session,
        actor,
        body.name,
        value=body.fraction(),
        source=body.source,
        valid_from=body.valid_from,
    )
    return PolicyRowRead.of(row)


@router.post("/policies/rows/{row_id}/confirm", dependencies=IDEMPOTENT)
def confirm_policy(row_id: UUID, session: SessionDep, actor: ActorDep) -> PolicyRowRead:
    """Let a threshold hold that somebody else proposed."""
    return PolicyRowRead.of(policies.confirm_policy(session, actor, row_id))

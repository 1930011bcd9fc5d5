"""/v1/cases: acting on somebody's units without them, under a legal basis and four eyes."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from api.as_of import LegalSessionDep
from api.deps import ActorDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.reading import FullReadingDep, ReadingDep
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.cases import CaseApproval, CaseCreate, CaseRead, LiftCreate
from api.schemas.common import Page
from registry.case import execution, repository
from registry.case import service as cases
from registry.case.models import CaseKind, CaseState

router = resource_router("cases")


@router.post("/cases", status_code=201, dependencies=IDEMPOTENT)
def open_case(
    body: CaseCreate, session: SessionDep, actor: ActorDep, response: Response
) -> CaseRead:
    """Open a case; nothing happens before another person has approved it."""
    row = cases.open_case(session, actor, body.new())
    response.headers["Location"] = f"/v1/cases/{row.id}"
    return CaseRead.of(session, row)


@router.get("/cases")
def list_cases(
    session: LegalSessionDep,
    reading: ReadingDep,
    paging: PagingDep,
    state: CaseState | None = None,
    kind: CaseKind | None = None,
) -> Page[CaseRead]:
    """List cases in the order in which they were opened."""
    rows = repository.list_cases(
        session, state=state, kind=kind, after=paging.after_id, limit=paging.fetch
    )
    page = paging.page(rows, lambda row: str(row.id), lambda row: CaseRead.of(session, row))
    return reading.of(page)


@router.get("/cases/{case_id}")
def get_case(case_id: UUID, session: LegalSessionDep, reading: FullReadingDep) -> CaseRead:
    """Read one case, with every act and what the chain did of it."""
    return reading.of(CaseRead.of(session, repository.get_case(session, case_id)))


@router.post("/cases/{case_id}/approve", dependencies=IDEMPOTENT)
def approve_case(
    case_id: UUID, body: CaseApproval, session: SessionDep, actor: ActorDep
) -> CaseRead:
    """Approve exactly the case, or the lift, that you read; never your own."""
    seen = bytes.fromhex(body.case_hash)
    row = cases.approve_case(session, actor, case_id, role=body.role, seen_hash=seen)
    return CaseRead.of(session, row)


@router.post("/cases/{case_id}/reject", dependencies=IDEMPOTENT)
def reject_case(case_id: UUID, body: Reason, session: SessionDep, actor: ActorDep) -> CaseRead:
    """Refuse the case, or its lift."""
    return CaseRead.of(session, cases.reject_case(session, actor, case_id, reason=body.reason))


@router.post("/cases/{case_id}/withdraw", dependencies=IDEMPOTENT)
def withdraw_case(case_id: UUID, body: Reason, session: SessionDep, actor: ActorDep) -> CaseRead:
    """Take back what you opened, of which nothing has happened on chain."""
    return CaseRead.of(session, cases.withdraw_case(session, actor, case_id, reason=body.reason))


@router.post("/cases/{case_id}/execute", status_code=202, dependencies=IDEMPOTENT)
def execute_case(
    case_id: UUID, session: SessionDep, actor: ActorDep, response: Response
) -> CaseRead:
    """Have the chain carry out what has not happened yet; each act names its operation."""
    planned = execution.execute_case(session, actor, case_id)
    last = f"/v1/operations/{planned[-1].id}" if planned else f"/v1/cases/{case_id}"
    response.headers["Location"] = last
    return CaseRead.of(session, repository.get_case(session, case_id))


@router.post("/cases/{case_id}/lift", dependencies=IDEMPOTENT)
def lift_case(case_id: UUID, body: LiftCreate, session: SessionDep, actor: ActorDep) -> CaseRead:
    """Open the end of a freeze; it is approved and executed as the case was."""
    return CaseRead.of(session, cases.open_lift(session, actor, case_id, body.new()))

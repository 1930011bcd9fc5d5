"""/v1/complaints, /v1/me/complaints and /v1/incidents: what people and the service suffer from."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from api.as_of import LegalSessionDep
from api.deps import ActorDep, ReadSessionDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.reading import FullReadingDep, ReadingDep
from api.revealing import REVEALING
from api.routes.router import resource_router
from api.schemas.common import Page
from api.schemas.complaints import (
    AnswerCreate,
    ComplaintCreate,
    ComplaintRead,
    IncidentCause,
    IncidentCreate,
    IncidentEnd,
    IncidentRead,
    OwnComplaintCreate,
    OwnComplaintRead,
)
from registry.complaint import service as complaints
from registry.complaint.models import ComplaintState
from registry.incident import service as incidents
from registry.incident.models import IncidentState
from registry.investor import service as investors

router = resource_router("complaints and incidents")

MINE = "/me/complaints"


@router.post(MINE, status_code=201, dependencies=IDEMPOTENT)
def file_my_complaint(
    body: OwnComplaintCreate, session: SessionDep, actor: ActorDep, response: Response
) -> OwnComplaintRead:
    """Complain."""
    row = complaints.file_own(session, actor, body.new())
    response.headers["Location"] = f"/v1{MINE}/{row.id}"
    return OwnComplaintRead.of(row)


@router.get(MINE)
def list_my_complaints(
    session: ReadSessionDep, actor: ActorDep, paging: PagingDep
) -> Page[OwnComplaintRead]:
    """See your complaints, oldest first."""
    mine = investors.get_investor_of(session, actor.subject)
    rows = complaints.list_complaints(
        session, party_id=mine.party_id, after=paging.after_id, limit=paging.fetch
    )
    return paging.page(rows, lambda row: str(row.id), OwnComplaintRead.of)


@router.get(f"{MINE}/{{complaint_id}}")
def get_my_complaint(
    complaint_id: UUID, session: ReadSessionDep, actor: ActorDep
) -> OwnComplaintRead:
    """See what became of a complaint of yours."""
    return OwnComplaintRead.of(complaints.get_own(session, actor, complaint_id))


@router.post(f"{MINE}/{{complaint_id}}/withdraw", dependencies=IDEMPOTENT)
def withdraw_my_complaint(
    complaint_id: UUID, session: SessionDep, actor: ActorDep
) -> OwnComplaintRead:
    """Take a complaint of yours back."""
    return OwnComplaintRead.of(complaints.withdraw_own(session, actor, complaint_id))


@router.post("/complaints", status_code=201, dependencies=IDEMPOTENT)
def record_complaint(
    body: ComplaintCreate, session: SessionDep, actor: ActorDep, response: Response
) -> ComplaintRead:
    """Record a complaint that came by another way."""
    row = complaints.record_complaint(session, actor, body.new())
    response.headers["Location"] = f"/v1/complaints/{row.id}"
    return ComplaintRead.of(row)


@router.get("/complaints")
def list_complaints(
    session: LegalSessionDep,
    reading: ReadingDep,
    paging: PagingDep,
    state: ComplaintState | None = None,
    party_id: UUID | None = None,
) -> Page[ComplaintRead]:
    """List complaints in the order in which they were filed."""
    rows = complaints.list_complaints(
        session, state=state, party_id=party_id, after=paging.after_id, limit=paging.fetch
    )
    return reading.of(paging.page(rows, lambda row: str(row.id), ComplaintRead.of))


@router.get("/complaints/{complaint_id}")
def get_complaint(
    complaint_id: UUID, session: LegalSessionDep, reading: FullReadingDep
) -> ComplaintRead:
    """Read one complaint."""
    return reading.of(ComplaintRead.of(complaints.get_complaint(session, complaint_id)))


@router.post("/complaints/{complaint_id}/investigate", dependencies=IDEMPOTENT)
def investigate_complaint(
    complaint_id: UUID, session: SessionDep, actor: ActorDep
) -> ComplaintRead:
    """Take a complaint on."""
    return ComplaintRead.of(complaints.investigate_complaint(session, actor, complaint_id))


@router.post("/complaints/{complaint_id}/resolve", dependencies=IDEMPOTENT)
def resolve_complaint(
    complaint_id: UUID, body: AnswerCreate, session: SessionDep, actor: ActorDep
) -> ComplaintRead:
    """Make it good, and say how."""
    row = complaints.resolve_complaint(session, actor, complaint_id, answer=body.answer)
    return ComplaintRead.of(row)


@router.post("/complaints/{complaint_id}/reject", dependencies=IDEMPOTENT)
def reject_complaint(
    complaint_id: UUID, body: AnswerCreate, session: SessionDep, actor: ActorDep
) -> ComplaintRead:
    """Say that there is nothing to make good, and why."""
    row = complaints.reject_complaint(session, actor, complaint_id, answer=body.answer)
    return ComplaintRead.of(row)


@router.post("/incidents", status_code=201, dependencies=IDEMPOTENT)
def report_incident(
    body: IncidentCreate, session: SessionDep, actor: ActorDep, response: Response
) -> IncidentRead:
    """Report what goes wrong."""
    row = incidents.report_incident(session, actor, body.new())
    response.headers["Location"] = f"/v1/incidents/{row.id}"
    return IncidentRead.of(row)


@router.get("/incidents")
def list_incidents(
    session: LegalSessionDep, paging: PagingDep, state: IncidentState | None = None
) -> Page[IncidentRead]:
    """List incidents in the order in which they were reported."""
    rows = incidents.list_incidents(session, state=state, after=paging.after_id, limit=paging.fetch)
    return paging.page(rows, lambda row: str(row.id), IncidentRead.of)


@router.get("/incidents/{incident_id}", dependencies=REVEALING)
def get_incident(incident_id: UUID, session: LegalSessionDep) -> IncidentRead:
    """Read one incident."""
    return IncidentRead.of(incidents.get_incident(session, incident_id))


@router.post("/incidents/{incident_id}/contain", dependencies=IDEMPOTENT)
def contain_incident(
    incident_id: UUID, body: IncidentEnd, session: SessionDep, actor: ActorDep
) -> IncidentRead:
    """Say that it is not felt any more."""
    row = incidents.contain_incident(session, actor, incident_id, ended_at=body.ended_at)
    return IncidentRead.of(row)


@router.post("/incidents/{incident_id}/close", dependencies=IDEMPOTENT)
def close_incident(
    incident_id: UUID, body: IncidentCause, session: SessionDep, actor: ActorDep
) -> IncidentRead:
    """Say what it came from and what it cost, as another person than who reported it."""
    paisa = body.loss.paisa("/loss/amount") if body.loss else None
    row = incidents.close_incident(session, actor, incident_id, cause=body.cause, loss_paisa=paisa)
    return IncidentRead.of(row)

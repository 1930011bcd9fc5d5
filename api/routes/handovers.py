"""/v1/enrolment_handovers: an enrolment goes to whom it is about."""

from __future__ import annotations

from uuid import UUID

from api.deps import ActorDep, ReadSessionDep, ServicesDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.reading import ReadingDep
from api.routes.router import resource_router
from api.schemas.common import Page
from api.schemas.handovers import HandoverCreate, HandoverRead
from registry.handover import service as handovers
from registry.kernel.errors import Invalid

router = resource_router("investors")


@router.post("/enrolment_handovers", status_code=201, dependencies=IDEMPOTENT)
def propose_handover(
    body: HandoverCreate, session: SessionDep, actor: ActorDep, services: ServicesDep
) -> HandoverRead:
    """Propose to give a party's enrolment to whom it is about. Another person confirms it."""
    if body.subject is None and services.sessions is None:
        raise Invalid(
            "handover_subject_missing",
            "Without passkeys no invitation would lead to an account of its own.",
            field="/subject",
            remedy="Name the account that gets it, as `/v1/me` names it.",
        )
    return HandoverRead.of(handovers.propose_handover(session, actor, **body.model_dump()))


@router.get("/enrolment_handovers")
def list_handovers(
    session: ReadSessionDep, reading: ReadingDep, paging: PagingDep, party_id: UUID | None = None
) -> Page[HandoverRead]:
    """List hand-overs of enrolments, of one party or of all."""
    rows = handovers.list_handovers(
        session, party_id=party_id, after=paging.after_id, limit=paging.fetch
    )
    return reading.of(paging.page(rows, lambda row: str(row.id), HandoverRead.of))


@router.get("/enrolment_handovers/{handover_id}")
def get_handover(handover_id: UUID, session: ReadSessionDep, reading: ReadingDep) -> HandoverRead:
    """See a hand-over of an enrolment."""
    return reading.of(HandoverRead.of(handovers.get_handover(session, handover_id)))


@router.post("/enrolment_handovers/{handover_id}/confirm", dependencies=IDEMPOTENT)
def confirm_handover(handover_id: UUID, session: SessionDep, actor: ActorDep) -> HandoverRead:
    """Hand an enrolment over, as somebody else proposed; whoever had it is signed out of it."""
    return HandoverRead.of(handovers.confirm_handover(session, actor, handover_id))


@router.post("/enrolment_handovers/{handover_id}/withdraw", dependencies=IDEMPOTENT)
def withdraw_handover(handover_id: UUID, session: SessionDep, actor: ActorDep) -> HandoverRead:
    """Take a proposal back."""
    return HandoverRead.of(handovers.withdraw_handover(session, actor, handover_id))

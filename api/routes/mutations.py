"""/v1/mutations, and what becomes of a title by them or by a dispute."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from api.as_of import KnownSessionDep, LegalSessionDep, LegalTimeParam
from api.deps import ActorDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.revealing import REVEALING
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.common import Page
from api.schemas.mutations import (
    AppealFlag,
    DisputeCreate,
    DisputeEnd,
    HistoryEntryRead,
    InstrumentFields,
    MutationCreate,
    MutationRead,
    OrderText,
    TitleCancel,
)
from api.schemas.titles import TitleRead
from registry.kernel.clock import now
from registry.mutation import service as mutations
from registry.title import service as titles
from registry.tokenization import mutations as token_mutations

router = resource_router("mutations")


@router.post("/titles/{title_id}/mutations", status_code=201, dependencies=IDEMPOTENT)
def lodge_mutation(
    title_id: UUID,
    body: MutationCreate,
    session: SessionDep,
    actor: ActorDep,
    response: Response,
) -> MutationRead:
    """Enter a mutation on the title; no second one is open beside it (MUT-01)."""
    mutation = mutations.lodge_mutation(session, actor, title_id, body.new())
    response.headers["Location"] = f"/v1/mutations/{mutation.id}"
    return MutationRead.of(session, mutation)


@router.get("/titles/{title_id}/mutations", dependencies=REVEALING)
def list_mutations(
    title_id: UUID, session: LegalSessionDep, paging: PagingDep
) -> Page[MutationRead]:
    """List the mutations that ever touched the title, oldest first."""
    titles.get_title(session, title_id)
    rows = mutations.list_mutations(session, title_id, after=paging.after_id, limit=paging.fetch)
    return paging.page(rows, lambda row: str(row.id), lambda row: MutationRead.of(session, row))


@router.get("/titles/{title_id}/history")
def list_title_history(
    title_id: UUID, session: KnownSessionDep, as_of: LegalTimeParam = None
) -> list[HistoryEntryRead]:
    """List every version ever recorded, or those that began by a time, with their mutations."""
    titles.get_title(session, title_id)
    return HistoryEntryRead.of_title(session, title_id, until=as_of)


@router.get("/mutations/{mutation_id}", dependencies=REVEALING)
def get_mutation(mutation_id: UUID, session: LegalSessionDep) -> MutationRead:
    """Read one mutation."""
    return MutationRead.of(session, mutations.get_mutation(session, mutation_id))


@router.post("/mutations/{mutation_id}/complete", dependencies=IDEMPOTENT)
def complete_mutation(
    mutation_id: UUID, body: InstrumentFields, session: SessionDep, actor: ActorDep
) -> MutationRead:
    """Add what it rests on, and hand it to the field verifier."""
    mutation = mutations.complete_mutation(session, actor, mutation_id, body.instrument())
    return MutationRead.of(session, mutation)


@router.post("/mutations/{mutation_id}/verify", dependencies=IDEMPOTENT)
def verify_mutation(mutation_id: UUID, session: SessionDep, actor: ActorDep) -> MutationRead:
    """Confirm it from the field."""
    return MutationRead.of(session, mutations.verify_mutation(session, actor, mutation_id))


@router.post("/mutations/{mutation_id}/return", dependencies=IDEMPOTENT)
def return_mutation(
    mutation_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> MutationRead:
    """Send it back to its maker from the field."""
    mutation = mutations.return_mutation(session, actor, mutation_id, reason=body.reason)
    return MutationRead.of(session, mutation)


@router.post("/mutations/{mutation_id}/attest", dependencies=IDEMPOTENT)
def attest_mutation(
    mutation_id: UUID, body: OrderText, session: SessionDep, actor: ActorDep
) -> MutationRead:
    """Attest it, on the day of the notice or later."""
    mutation = mutations.attest_mutation(session, actor, mutation_id, order_text=body.order_text)
    return MutationRead.of(session, mutation)


@router.post("/mutations/{mutation_id}/reject", dependencies=IDEMPOTENT)
def reject_mutation(
    mutation_id: UUID, body: OrderText, session: SessionDep, actor: ActorDep
) -> MutationRead:
    """Refuse it for good."""
    mutation = mutations.reject_mutation(session, actor, mutation_id, order_text=body.order_text)
    return MutationRead.of(session, mutation)


@router.post("/mutations/{mutation_id}/stay", dependencies=IDEMPOTENT)
def stay_mutation(
    mutation_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> MutationRead:
    """Leave it pending, for a stay order or another reason."""
    mutation = mutations.stay_mutation(session, actor, mutation_id, reason=body.reason)
    return MutationRead.of(session, mutation)


@router.post("/mutations/{mutation_id}/resume", dependencies=IDEMPOTENT)
def resume_mutation(mutation_id: UUID, session: SessionDep, actor: ActorDep) -> MutationRead:
    """Take it up again, once nothing stays it."""
    return MutationRead.of(session, mutations.resume_mutation(session, actor, mutation_id))


@router.post("/mutations/{mutation_id}/review", dependencies=IDEMPOTENT)
def review_mutation(
    mutation_id: UUID, body: OrderText, session: SessionDep, actor: ActorDep
) -> MutationRead:
    """Take the attestation back by a review order."""
    mutation = mutations.review_mutation(session, actor, mutation_id, order_text=body.order_text)
    return MutationRead.of(session, mutation)


@router.post("/mutations/{mutation_id}/implement", dependencies=IDEMPOTENT)
def implement_mutation(
    mutation_id: UUID, body: AppealFlag, session: SessionDep, actor: ActorDep
) -> MutationRead:
    """Write it into the title: the old right ends at the instant at which the new one begins."""
    mutation = token_mutations.implement_mutation(
        session, actor, mutation_id, appeal_filed=body.appeal_filed
    )
    return MutationRead.of(session, mutation)


@router.post("/mutations/{mutation_id}/reverse", dependencies=IDEMPOTENT)
def reverse_mutation(
    mutation_id: UUID, body: AppealFlag, session: SessionDep, actor: ActorDep
) -> MutationRead:
    """Undo an implemented mutation by the attested one that an appellate order calls for."""
    mutation = token_mutations.reverse_mutation(
        session, actor, mutation_id, appeal_filed=body.appeal_filed
    )
    return MutationRead.of(session, mutation)


@router.post("/mutations/{mutation_id}/withdraw", dependencies=IDEMPOTENT)
def withdraw_mutation(mutation_id: UUID, session: SessionDep, actor: ActorDep) -> MutationRead:
    """Take one's own mutation back before it is completed."""
    return MutationRead.of(session, mutations.withdraw_mutation(session, actor, mutation_id))


@router.post("/titles/{title_id}/dispute", dependencies=IDEMPOTENT)
def dispute_title(
    title_id: UUID, body: DisputeCreate, session: SessionDep, actor: ActorDep
) -> TitleRead:
    """Record that the title is in dispute, under an order or a suit."""
    title = token_mutations.dispute_title(
        session, actor, title_id, reference=body.case_no, reason=body.reason
    )
    return TitleRead.of(session, title, as_of=now(), known_at=now())


@router.post("/titles/{title_id}/dismiss_dispute", dependencies=IDEMPOTENT)
def dismiss_title_dispute(
    title_id: UUID, body: DisputeEnd, session: SessionDep, actor: ActorDep
) -> TitleRead:
    """End a dispute on its final order; a stayed mutation can then be resumed."""
    title = token_mutations.decide_dispute(session, actor, title_id, **body.model_dump())
    return TitleRead.of(session, title, as_of=now(), known_at=now())


@router.post("/titles/{title_id}/cancel", dependencies=IDEMPOTENT)
def cancel_title(
    title_id: UUID, body: TitleCancel, session: SessionDep, actor: ActorDep
) -> TitleRead:
    """Cancel the title: on a decree in a dispute, or once nothing rests on it."""
    last_moment = now()
    title = token_mutations.cancel_title(session, actor, title_id, **body.model_dump())
    return TitleRead.of(session, title, as_of=last_moment, known_at=now())

"""/v1/encumbrances: what others hold against a title, from lodging to discharge."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from api.as_of import KnownSessionDep, LegalTimeParam
from api.deps import ActorDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.encumbrances import (
    Confirmation,
    DischargeStep,
    EncumbranceCreate,
    EncumbranceRead,
    EncumbranceTermsRead,
    EncumbranceVariationCreate,
    Paper,
)
from registry.encumbrance import service as encumbrances
from registry.kernel.errors import Invalid
from registry.title import service as titles
from registry.tokenization import liens

router = resource_router("encumbrances")


@router.post("/titles/{title_id}/encumbrances", status_code=201, dependencies=IDEMPOTENT)
def lodge_encumbrance(
    title_id: UUID,
    body: EncumbranceCreate,
    session: SessionDep,
    actor: ActorDep,
    response: Response,
) -> EncumbranceRead:
    """Lodge a lien, charge, order or other restriction."""
    encumbrance = encumbrances.lodge_encumbrance(session, actor, title_id, body.new())
    response.headers["Location"] = f"/v1/encumbrances/{encumbrance.id}"
    return EncumbranceRead.of(encumbrance)


@router.get("/titles/{title_id}/encumbrances")
def list_encumbrances(
    title_id: UUID, session: KnownSessionDep, as_of: LegalTimeParam = None
) -> list[EncumbranceRead]:
    """List every encumbrance that the title ever had, or those that bound it at a time."""
    titles.get_title(session, title_id)
    rows = encumbrances.list_encumbrances(session, title_id, as_of=as_of)
    return [EncumbranceRead.at(session, row, as_of) for row in rows]


@router.get("/encumbrances/{encumbrance_id}")
def get_encumbrance(
    encumbrance_id: UUID, session: KnownSessionDep, as_of: LegalTimeParam = None
) -> EncumbranceRead:
    """Read one encumbrance, or the terms on which it bound at a time."""
    row = encumbrances.get_encumbrance(session, encumbrance_id)
    return EncumbranceRead.at(session, row, as_of)


@router.get("/encumbrances/{encumbrance_id}/terms")
def list_encumbrance_terms(
    encumbrance_id: UUID, session: KnownSessionDep, as_of: LegalTimeParam = None
) -> list[EncumbranceTermsRead]:
    """List every version of its terms, or those in force by a time, oldest first."""
    encumbrances.get_encumbrance(session, encumbrance_id)
    rows = encumbrances.list_terms(session, encumbrance_id, until=as_of)
    return [EncumbranceTermsRead.of(row) for row in rows]


@router.post("/encumbrances/{encumbrance_id}/activate", dependencies=IDEMPOTENT)
def activate_encumbrance(
    encumbrance_id: UUID, session: SessionDep, actor: ActorDep
) -> EncumbranceRead:
    """Put it in force; one that blocks everything suspends the asset and pauses its token."""
    return EncumbranceRead.of(liens.put_encumbrance_in_force(session, actor, encumbrance_id))


@router.post("/encumbrances/{encumbrance_id}/reject", dependencies=IDEMPOTENT)
def reject_encumbrance(
    encumbrance_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> EncumbranceRead:
    """Refuse what was lodged."""
    encumbrance = encumbrances.reject_encumbrance(
        session, actor, encumbrance_id, reason=body.reason
    )
    return EncumbranceRead.of(encumbrance)


@router.post("/encumbrances/{encumbrance_id}/variations", status_code=201, dependencies=IDEMPOTENT)
def propose_encumbrance_variation(
    encumbrance_id: UUID, body: EncumbranceVariationCreate, session: SessionDep, actor: ActorDep
) -> EncumbranceTermsRead:
    """Propose new terms; they take the place of a proposal that waits."""
    terms = encumbrances.propose_variation(session, actor, encumbrance_id, body.variation())
    return EncumbranceTermsRead.of(terms)


@router.post("/encumbrances/{encumbrance_id}/vary", dependencies=IDEMPOTENT)
def vary_encumbrance(encumbrance_id: UUID, session: SessionDep, actor: ActorDep) -> EncumbranceRead:
    """Put the proposed terms in force; the former ones stay readable."""
    return EncumbranceRead.of(encumbrances.vary_encumbrance(session, actor, encumbrance_id))


@router.post("/encumbrances/{encumbrance_id}/discharge", dependencies=IDEMPOTENT)
def discharge_encumbrance(
    encumbrance_id: UUID, body: DischargeStep, session: SessionDep, actor: ActorDep
) -> EncumbranceRead:
    """Ask for a discharge with its paper (maker), then grant it as confirmed (checker)."""
    if body.document_id is not None and body.confirmation is None:
        encumbrance = encumbrances.request_discharge(
            session, actor, encumbrance_id, document_id=body.document_id
        )
    elif body.confirmation is not None and body.document_id is None:
        encumbrance = liens.grant_discharge(
            session, actor, encumbrance_id, confirmation=body.confirmation
        )
    else:
        raise Invalid(
            "discharge_step_unclear",
            "Send either the paper, to ask for a discharge, or the confirmation, to grant it.",
        )
    return EncumbranceRead.of(encumbrance)


@router.post("/encumbrances/{encumbrance_id}/refuse_discharge", dependencies=IDEMPOTENT)
def refuse_encumbrance_discharge(
    encumbrance_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> EncumbranceRead:
    """Leave it in force."""
    encumbrance = encumbrances.refuse_discharge(session, actor, encumbrance_id, reason=body.reason)
    return EncumbranceRead.of(encumbrance)


@router.post("/encumbrances/{encumbrance_id}/enforce", dependencies=IDEMPOTENT)
def enforce_encumbrance(
    encumbrance_id: UUID, body: Paper, session: SessionDep, actor: ActorDep
) -> EncumbranceRead:
    """Record the notice with which its holder begins to enforce it."""
    encumbrance = encumbrances.enforce_encumbrance(
        session, actor, encumbrance_id, document_id=body.document_id
    )
    return EncumbranceRead.of(encumbrance)


@router.post("/encumbrances/{encumbrance_id}/settle", dependencies=IDEMPOTENT)
def settle_encumbrance(
    encumbrance_id: UUID, body: Confirmation, session: SessionDep, actor: ActorDep
) -> EncumbranceRead:
    """End an enforcement because the debt is paid."""
    encumbrance = encumbrances.settle_encumbrance(
        session, actor, encumbrance_id, confirmation=body.confirmation
    )
    return EncumbranceRead.of(encumbrance)


@router.post("/encumbrances/{encumbrance_id}/enforced", dependencies=IDEMPOTENT)
def finish_encumbrance_enforcement(
    encumbrance_id: UUID, body: Paper, session: SessionDep, actor: ActorDep
) -> EncumbranceRead:
    """End an enforcement by the sale's certificate; dealings stop until the mutation stands."""
    encumbrance = liens.finish_enforcement(
        session, actor, encumbrance_id, document_id=body.document_id
    )
    return EncumbranceRead.of(encumbrance)


@router.post("/encumbrances/{encumbrance_id}/lapse", dependencies=IDEMPOTENT)
def lapse_encumbrance(encumbrance_id: UUID, session: SessionDep) -> EncumbranceRead:
    """Let it end by its date now, without waiting for the clock's next round."""
    return EncumbranceRead.of(encumbrances.lapse_encumbrance(session, encumbrance_id))

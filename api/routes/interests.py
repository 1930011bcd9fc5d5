"""/v1/parties/{party_id}/interests: who a company or a trust declares to be behind it."""

from __future__ import annotations

from uuid import UUID

from api.as_of import KnownSessionDep, LegalTimeParam
from api.deps import ActorDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.reading import FullReadingDep
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.common import Page
from api.schemas.interests import DeclarationCreate, DeclarationRead
from registry.interest import service as interests
from registry.party import service as parties

router = resource_router("parties")


@router.post("/parties/{party_id}/interests", status_code=201, dependencies=IDEMPOTENT)
def declare_interests(
    party_id: UUID, body: DeclarationCreate, session: SessionDep, actor: ActorDep
) -> DeclarationRead:
    """Record everybody who has an interest in a legal person; another person confirms."""
    declared = interests.declare_interests(session, actor, party_id, body.new())
    return DeclarationRead.of(declared)


@router.get("/parties/{party_id}/interests")
def list_interests(
    party_id: UUID,
    session: KnownSessionDep,
    reading: FullReadingDep,
    paging: PagingDep,
    as_of: LegalTimeParam = None,
) -> Page[DeclarationRead]:
    """List every declaration there ever was, or the one that held at a time."""
    parties.get_party(session, party_id)
    if as_of is not None:
        held = interests.in_force(session, [party_id], as_of).values()
        return reading.of(Page(items=[DeclarationRead.of(declared) for declared in held]))
    rows = interests.list_declarations(session, party_id, after=paging.after_id, limit=paging.fetch)
    return reading.of(paging.page(rows, lambda row: str(row.declaration.id), DeclarationRead.of))


@router.post("/parties/{party_id}/interests/{declaration_id}/confirm", dependencies=IDEMPOTENT)
def confirm_interests(
    party_id: UUID, declaration_id: UUID, session: SessionDep, actor: ActorDep
) -> DeclarationRead:
    """Let a declaration count that somebody else recorded."""
    declared = interests.confirm_declaration(session, actor, party_id, declaration_id)
    return DeclarationRead.of(declared)


@router.post("/parties/{party_id}/interests/{declaration_id}/reject", dependencies=IDEMPOTENT)
def reject_interests(
    party_id: UUID,
    declaration_id: UUID,
    body: Reason,
    session: SessionDep,
    actor: ActorDep,
) -> DeclarationRead:
    """Refuse a declaration that somebody else recorded: it never counts."""
    declared = interests.reject_declaration(
        session, actor, party_id, declaration_id, reason=body.reason
    )
    return DeclarationRead.of(declared)

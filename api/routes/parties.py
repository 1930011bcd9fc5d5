"""/v1/parties: natural and legal persons."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from api.deps import ActorDep, ReadSessionDep, SessionDep, VaultDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.common import Page
from api.schemas.parties import PartyCreate, PartyRead
from registry.party import service as parties
from registry.party.service import NewParty

router = resource_router("parties")


@router.post("/parties", status_code=201, dependencies=IDEMPOTENT)
def create_party(
    body: PartyCreate, session: SessionDep, actor: ActorDep, vault: VaultDep, response: Response
) -> PartyRead:
    """Record a natural or legal person."""
    party = parties.create_party(session, vault, actor, NewParty(**body.model_dump()))
    response.headers["Location"] = f"/v1/parties/{party.id}"
    return PartyRead.of(vault, party)


@router.get("/parties")
def list_parties(
    session: ReadSessionDep,
    vault: VaultDep,
    paging: PagingDep,
    cnic: str | None = None,
    lei: str | None = None,
) -> Page[PartyRead]:
    """List persons, or find the one of a CNIC or LEI."""
    rows = parties.list_parties(
        session, vault, cnic=cnic, lei=lei, after=paging.after_id, limit=paging.fetch
    )
    return paging.page(rows, lambda row: str(row.id), lambda row: PartyRead.of(vault, row))


@router.get("/parties/{party_id}")
def get_party(party_id: UUID, session: ReadSessionDep, vault: VaultDep) -> PartyRead:
    """Read one person."""
    return PartyRead.of(vault, parties.get_party(session, party_id))

"""/v1/parties: persons, groups, and assets as parties."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from api.deps import ActorDep, ReadSessionDep, SessionDep, VaultDep
from api.etag import IfMatch, set_etag, version_of
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.reading import FullReadingDep, ReadingDep
from api.routes.router import resource_router
from api.schemas.common import Page, problems
from api.schemas.parties import PartyCreate, PartyPatch, PartyRead
from registry.party import service as parties
from registry.title.owners import record_party

router = resource_router("parties")


@router.post("/parties", status_code=201, dependencies=IDEMPOTENT)
def create_party(
    body: PartyCreate, session: SessionDep, actor: ActorDep, vault: VaultDep, response: Response
) -> PartyRead:
    """Record a person, a group of persons, or an asset as a party."""
    party = record_party(session, vault, actor, body.new())
    response.headers["Location"] = f"/v1/parties/{party.id}"
    set_etag(response, party.version)
    return PartyRead.of(vault, party)


@router.get("/parties")
def list_parties(
    session: ReadSessionDep,
    vault: VaultDep,
    reading: ReadingDep,
    paging: PagingDep,
    cnic: str | None = None,
    lei: str | None = None,
    passport: str | None = None,
    passport_country: str | None = None,
    iban: str | None = None,
) -> Page[PartyRead]:
    """List persons, or find the one of a CNIC, LEI or passport, or those of an account."""
    rows = parties.list_parties(
        session,
        vault,
        cnic=cnic,
        lei=lei,
        passport=None if passport is None else (passport, passport_country),
        iban=iban,
        after=paging.after_id,
        limit=paging.fetch,
    )
    page = paging.page(rows, lambda row: str(row.id), lambda row: PartyRead.of(vault, row))
    return reading.of(page)


@router.get("/parties/{party_id}")
def get_party(
    party_id: UUID,
    session: ReadSessionDep,
    vault: VaultDep,
    reading: FullReadingDep,
    response: Response,
) -> PartyRead:
    """Read one person: masked, or, with a purpose and a legal basis, as they are."""
    party = parties.get_party(session, party_id)
    set_etag(response, party.version)
    show = PartyRead.revealed if reading.reveal else PartyRead.of
    return reading.of(show(vault, party))


@router.patch("/parties/{party_id}", dependencies=IDEMPOTENT, responses=problems(412, 428))
def amend_party(
    party_id: UUID,
    body: PartyPatch,
    session: SessionDep,
    actor: ActorDep,
    vault: VaultDep,
    response: Response,
    if_match: IfMatch = None,
) -> PartyRead:
    """Correct what is known of a person; who they are, by CNIC, LEI or CUIN, stays."""
    version = version_of(if_match, "party")
    party = parties.amend_party(session, vault, actor, party_id, version, body.changes())
    set_etag(response, party.version)
    return PartyRead.of(vault, party)

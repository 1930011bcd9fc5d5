"""/v1/investors: enrol, prove a wallet."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from fastapi import Depends, Request, Response

from api.deps import ActorDep, ReadSessionDep, ServicesDep, SessionDep, TurnDep, VaultDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.reading import ReadingDep
from api.routes.router import resource_router
from api.schemas.common import Address, Page
from api.schemas.investors import (
    InvestorCreate,
    InvestorRead,
    WalletChallengeRead,
    WalletCreate,
    WalletProof,
    WalletRead,
)
from chain.wallet_proof import check_proof, write_challenge
from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import KycState
from registry.investor.wallets import CHALLENGE_LIFETIME
from registry.kernel.actor import OVERSIGHT
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Invalid, NotFound, RegistryError, Unavailable
from registry.party.models import PartyKind
from registry.party.service import NewParty
from registry.passkey import service as passkeys
from registry.wallet_removal import service as wallet_removal

router = resource_router("investors")


@router.post("/investors", status_code=201, dependencies=IDEMPOTENT)
def enrol_investor(
    body: InvestorCreate, session: SessionDep, actor: ActorDep, vault: VaultDep, response: Response
) -> InvestorRead:
    """Enrol: as yourself, or for a recorded company."""
    if (body.person is None) == (body.party_id is None):
        raise Invalid("enrolment_ambiguous", "Send either `person` or `party_id`.", field="/person")
    if body.person is not None:
        new = NewParty(kind=PartyKind.NATURAL, **body.person.model_dump())
        investor = investors.enrol_person(session, vault, actor, new)
    else:
        assert body.party_id is not None
        investor = investors.enrol_for_company(session, actor, body.party_id)
    response.headers["Location"] = f"/v1/investors/{investor.id}"
    return InvestorRead.of(session, investor)


@router.get("/investors")
def list_investors(
    session: ReadSessionDep,
    reading: ReadingDep,
    paging: PagingDep,
    kyc_state: KycState | None = None,
) -> Page[InvestorRead]:
    """List investors, for instance those whose KYC is pending."""
    rows = investors.list_investors(
        session, kyc_state=kyc_state, after=paging.after_id, limit=paging.fetch
    )
    page = paging.page(rows, lambda row: str(row.id), lambda row: InvestorRead.of(session, row))
    return reading.of(page)


@router.get("/investors/{investor_id}")
def get_investor(
    investor_id: UUID, session: ReadSessionDep, reading: ReadingDep, actor: ActorDep
) -> InvestorRead:
    """Read an investor; investors see only themselves."""
    investor = investors.get_investor(session, investor_id)
    overseer = actor.has(*OVERSIGHT)
    if not overseer and investor.subject != actor.subject:
        raise NotFound("investor", investor_id)
    return reading.of(InvestorRead.of(session, investor))


@router.post("/investors/{investor_id}/wallets", status_code=201, dependencies=IDEMPOTENT)
def challenge_wallet(
    investor_id: UUID,
    body: WalletCreate,
    session: SessionDep,
    actor: ActorDep,
    services: ServicesDep,
) -> WalletChallengeRead:
    """Ask for the message by which a wallet proves that it is yours (EIP-4361)."""
    # The enrolment first, as whoever shuts its owner out. A wallet stays theirs for good.
    wallets.own_investor(session, actor, investor_id, lock=True)
    passkeys.require_recent(session, actor)
    issued_at = now()
    message = write_challenge(
        address=body.address,
        domain=services.settings.app_domain,
        chain_id=services.settings.chain_id,
        issued_at=issued_at,
        expires_at=issued_at + CHALLENGE_LIFETIME,
    )
    challenge = wallets.challenge_wallet(
        session, actor, investor_id, address=_raw(body.address), message=message
    )
    return WalletChallengeRead.of(challenge)


@dataclass(frozen=True, slots=True)
class Checked:
    """What the signature was held against, and what speaks against it."""

    message: str | None
    refusal: RegistryError | None


def check_signature(
    request: Request,
    investor_id: UUID,
    address: Address,
    body: WalletProof,
    actor: ActorDep,
    services: ServicesDep,
    _turn: TurnDep,
) -> None:
    """Check the signature before any transaction is open: a contract is asked at the node."""
    with services.database.reading() as session:
        message = wallets.find_challenge(session, actor, investor_id, _raw(address))
    request.state.checked = Checked(message, None)
    if message is None:
        return
    domain = services.settings.app_domain
    try:
        check_proof(services.node, challenge=message, signature=body.signature, domain=domain)
    except (Conflict, Unavailable) as refusal:
        request.state.checked = Checked(message, refusal)


@router.post(
    "/investors/{investor_id}/wallets/{address}/proof",
    dependencies=[Depends(check_signature), *IDEMPOTENT],
)
def prove_wallet(
    investor_id: UUID, address: Address, session: SessionDep, actor: ActorDep, request: Request
) -> WalletRead:
    """Hand in the wallet's signature of its challenge: by its key, or by its contract."""
    wallet = wallets.find_own(session, actor, investor_id, _raw(address))
    if wallet is None:
        checked: Checked = request.state.checked
        challenge = wallets.open_challenge(session, actor, investor_id, _raw(address))
        if checked.refusal is not None:
            raise checked.refusal
        wallets.require_same_message(challenge, checked.message)
        wallet = wallets.accept_proof(session, actor, challenge)
    return WalletRead.of(wallet)


@router.delete(
    "/investors/{investor_id}/wallets/{address}", status_code=202, dependencies=IDEMPOTENT
)
def remove_wallet(
    investor_id: UUID, address: Address, session: SessionDep, actor: ActorDep
) -> WalletRead:
    """Give up a wallet of yours that holds nothing; it stays yours, and is used no more."""
    wallet = wallet_removal.remove_wallet(session, actor, investor_id, _raw(address))
    return WalletRead.of(wallet)


def _raw(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("0x"))

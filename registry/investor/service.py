"""Use cases on investors: enrol, prove a wallet, pass KYC."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Session, col, select

from registry.investor.models import Investor, KycState, Wallet, WalletState
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor, Role
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.kernel.rows import among, get_row, page_after
from registry.kernel.vault import Vault
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind
from registry.party import service as parties
from registry.party.models import Party, PartyKind
from registry.party.service import NewParty

KYC_TOPIC = 1
"""ERC-735 claim topic of a passed KYC; every token requires it. Topic 0 is not usable."""

CHALLENGE_LIFETIME = timedelta(minutes=10)
MAX_KYC_LIFETIME = timedelta(days=2 * 365)


def enrol_person(session: Session, vault: Vault, actor: Actor, new: NewParty) -> Investor:
    """Enrol the caller, recording them as a party.

    Raises
    ------
    Invalid
        An identifier is malformed.
    Conflict
        ``investor_exists``, ``party_exists``.
    """
    _refuse_second_enrolment(session, actor)
    party = parties.create_party(session, vault, actor, new)
    return _enrol(session, actor, party.id)


def enrol_for_company(session: Session, actor: Actor, party_id: UUID) -> Investor:
    """Enrol the caller as acting for a recorded company; KYC decides whether they do.

    Raises
    ------
    Forbidden
        ``issuer_role_required``.
    Conflict
        ``investor_exists``, ``party_represented``.
    """
    if not actor.has(Role.ISSUER):
        raise Forbidden("issuer_role_required", "Only an issuer enrols for a company.")
    _refuse_second_enrolment(session, actor)
    party = parties.get_party(session, party_id)
    if party.kind != PartyKind.LEGAL:
        raise NotFound("company", party_id)
    if session.exec(select(Investor).where(col(Investor.party_id) == party_id)).first():
        raise Conflict("party_represented", "Somebody is already enrolled for this company.")
    return _enrol(session, actor, party_id)


def _refuse_second_enrolment(session: Session, actor: Actor) -> None:
    if find_investor_of(session, actor.subject) is not None:
        raise Conflict("investor_exists", "You are enrolled already; see /v1/me.")


def _enrol(session: Session, actor: Actor, party_id: UUID) -> Investor:
    investor = Investor(subject=actor.subject, party_id=party_id)
    session.add(investor)
    session.flush()
    journal.record(session, actor, "investor_enrolled", "investor", investor.id)
    return investor


def challenge_wallet(
    session: Session, actor: Actor, investor_id: UUID, *, address: bytes, challenge: str
) -> Wallet:
    """Record the message that the wallet has to sign.

    Parameters
    ----------
    address
        20 bytes.
    challenge
        The EIP-4361 message, with a nonce that nobody could guess.

    Raises
    ------
    Conflict
        ``wallet_taken``: it is somebody else's. ``wallet_proven``: nothing is left to prove.
        ``wallet_retired``: it was lost.
    """
    _own(session, actor, investor_id)
    wallet = session.exec(
        select(Wallet).where(col(Wallet.address) == address).with_for_update()
    ).first()
    if wallet is not None and wallet.state != WalletState.CHALLENGED:
        if wallet.investor_id != investor_id:
            raise Conflict("wallet_taken", "This wallet belongs to another investor.")
        _refuse_retired(wallet)
        raise Conflict("wallet_proven", "This wallet is proven already.")
    if wallet is None:
        wallet = Wallet(
            investor_id=investor_id,
            address=address,
            challenge=challenge,
            challenge_expires_at=now() + CHALLENGE_LIFETIME,
        )
    # A challenge that nobody answered reserves nothing: else anyone could block an address.
    wallet.investor_id = investor_id
    wallet.challenge = challenge
    wallet.challenge_expires_at = now() + CHALLENGE_LIFETIME
    session.add(wallet)
    session.flush()
    return wallet


def open_challenge(session: Session, actor: Actor, investor_id: UUID, address: bytes) -> Wallet:
    """Return the wallet whose challenge is being answered.

    Raises
    ------
    NotFound
        No challenge was asked for.
    Conflict
        ``challenge_expired``, ``wallet_retired``.
    """
    _own(session, actor, investor_id)
    # Locked until the proof is recorded: else another could take the challenge over meanwhile,
    # and be given the wallet that this investor proves.
    wallet = session.exec(
        select(Wallet)
        .where(col(Wallet.address) == address)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if wallet is None or wallet.investor_id != investor_id:
        raise NotFound("wallet", f"0x{address.hex()}")
    _refuse_retired(wallet)
    if wallet.state == WalletState.CHALLENGED and wallet.challenge_expires_at < now():
        raise Conflict(
            "challenge_expired", "The message to sign has expired.", remedy="Ask for a new one."
        )
    return wallet


def _refuse_retired(wallet: Wallet) -> None:
    if wallet.state == WalletState.RETIRED:
        raise Conflict(
            "wallet_retired",
            "This wallet was given up as lost.",
            remedy="Prove another wallet.",
        )


def accept_proof(session: Session, actor: Actor, wallet: Wallet) -> Wallet:
    """Record that the signature was checked and is the wallet's own."""
    if wallet.state != WalletState.PROVEN:
        wallet.state, wallet.proven_at = WalletState.PROVEN, now()
        session.add(wallet)
        session.flush()
        journal.record(
            session,
            actor,
            "wallet_proven",
            "investor",
            wallet.investor_id,
            address=f"0x{wallet.address.hex()}",
        )
    return wallet


def approve_kyc(
    session: Session,
    actor: Actor,
    investor_id: UUID,
    *,
    valid_until: datetime,
    evidence_sha256: bytes,
) -> Operation:
    """Let an investor hold tokens: make their identity and put the claim on it, on chain.

    Returns
    -------
    Operation
        The last operation planned; when it is final the investor can receive tokens.

    Raises
    ------
    Invalid
        ``kyc_validity_out_of_range``.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``kyc_decided``, ``wallet_not_proven``.
    """
    investor = _decidable(session, actor, investor_id)
    if not now() < valid_until <= now() + MAX_KYC_LIFETIME:
        raise Invalid(
            "kyc_validity_out_of_range",
            "A KYC is good from now for at most two years.",
            field="/valid_until",
        )
    wallets = [
        wallet
        for wallet in list_wallets(session, investor_id)
        if wallet.state == WalletState.PROVEN
    ]
    if not wallets:
        raise Conflict(
            "wallet_not_proven",
            "The investor has proven no wallet, so there is nowhere to put the claim.",
            remedy="Have them sign the challenge of /v1/investors/{id}/wallets first.",
        )
    investor.kyc_state = KycState.APPROVED
    investor.kyc_valid_until = valid_until
    investor.kyc_evidence_sha256 = evidence_sha256
    investor.kyc_decided_by = actor.subject
    session.add(investor)
    journal.record(
        session,
        actor,
        "kyc_approved",
        "investor",
        investor.id,
        valid_until=valid_until.isoformat(),
        evidence_sha256=evidence_sha256.hex(),
    )
    return _plan_identity(session, actor, investor, wallets[0])


def plan_link(session: Session, actor: Actor, wallet: Wallet) -> Operation:
    """Have a wallet linked to its investor's identity, which the first one makes."""
    address = f"0x{wallet.address.hex()}"
    return operations.plan(
        session,
        actor,
        OperationKind.CREATE_IDENTITY,
        key=f"create_identity:{address}",
        subject=("investor", wallet.investor_id),
        params={"wallet": address, "wallet_id": str(wallet.id)},
    )


def _plan_identity(session: Session, actor: Actor, investor: Investor, wallet: Wallet) -> Operation:
    address = f"0x{wallet.address.hex()}"
    identity = plan_link(session, actor, wallet)
    assert investor.kyc_valid_until is not None
    assert investor.kyc_evidence_sha256 is not None
    return operations.plan(
        session,
        actor,
        OperationKind.ADD_CLAIM,
        key=f"add_claim:{address}:{KYC_TOPIC}:{investor.kyc_evidence_sha256.hex()}",
        subject=("investor", investor.id),
        params={
            "wallet_id": str(wallet.id),
            "topic": KYC_TOPIC,
            "expires_at": int(investor.kyc_valid_until.timestamp()),
            "evidence_sha256": investor.kyc_evidence_sha256.hex(),
        },
        after=[identity],
    )


def reject_kyc(session: Session, actor: Actor, investor_id: UUID, *, reason: str) -> Investor:
    """Decide that the investor may not hold tokens.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``kyc_decided``.
    """
    investor = _decidable(session, actor, investor_id)
    investor.kyc_state, investor.kyc_decided_by = KycState.REJECTED, actor.subject
    session.add(investor)
    session.flush()
    journal.record(session, actor, "kyc_rejected", "investor", investor.id, reason=reason)
    return investor


def _decidable(session: Session, actor: Actor, investor_id: UUID) -> Investor:
    investor = get_investor(session, investor_id, lock=True)
    if actor.is_person_of(investor.subject):
        raise Forbidden("checker_is_maker", "Nobody decides on their own KYC (rule APR-01).")
    if investor.kyc_state != KycState.PENDING:
        raise Conflict("kyc_decided", f"This KYC is {investor.kyc_state} already.")
    return investor


def may_hold(investor: Investor) -> bool:
    """Tell whether the KYC is passed and has not run out."""
    return _is_in_force(investor.kyc_state, investor.kyc_valid_until)


def _is_in_force(state: str, valid_until: datetime | None) -> bool:
    return state == KycState.APPROVED and valid_until is not None and valid_until > now()


def wallets_that_may_hold(session: Session, ids: Collection[UUID]) -> set[UUID]:
    """Give those of many wallets whose investor may hold."""
    rows = session.exec(
        select(Wallet.id, Investor.kyc_state, Investor.kyc_valid_until)
        .join(Investor, col(Investor.id) == col(Wallet.investor_id))
        .where(among(col(Wallet.id), ids))
    )
    return {wallet for wallet, state, valid_until in rows if _is_in_force(state, valid_until)}


def get_investor(session: Session, investor_id: UUID, *, lock: bool = False) -> Investor:
    """Return the investor.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Investor, investor_id, kind="investor", lock=lock)


def countries_of(session: Session, ids: Collection[UUID]) -> dict[UUID, str]:
    """Return the country in which the party of each investor resides, by investor."""
    rows = session.exec(
        select(Investor.id, Party.residence_country)
        .join(Party, col(Party.id) == col(Investor.party_id))
        .where(among(col(Investor.id), ids))
    )
    return {investor_id: country for investor_id, country in rows.all()}  # noqa: C416


def get_wallets(session: Session, ids: Collection[UUID]) -> dict[UUID, Wallet]:
    """Return many wallets by their ids, which are known to be there."""
    rows = session.exec(select(Wallet).where(among(col(Wallet.id), ids))).all()
    return {row.id: row for row in rows}


def find_investor_of(session: Session, subject: str) -> Investor | None:
    return session.exec(select(Investor).where(col(Investor.subject) == subject)).first()


def find_investor_for(session: Session, party_id: UUID) -> Investor | None:
    return session.exec(select(Investor).where(col(Investor.party_id) == party_id)).first()


def list_investors(
    session: Session, *, kyc_state: str | None, after: UUID | None, limit: int
) -> Sequence[Investor]:
    """List investors in the order in which they enrolled."""
    query = select(Investor)
    if kyc_state is not None:
        query = query.where(col(Investor.kyc_state) == kyc_state)
    return session.exec(page_after(query, col(Investor.id), after=after, limit=limit)).all()


def list_wallets(session: Session, investor_id: UUID) -> Sequence[Wallet]:
    """List the wallets of an investor, oldest first."""
    return session.exec(
        select(Wallet).where(col(Wallet.investor_id) == investor_id).order_by(col(Wallet.id))
    ).all()


def find_wallet(session: Session, address: bytes) -> Wallet | None:
    return session.exec(select(Wallet).where(col(Wallet.address) == address)).first()


def retire_wallet(session: Session, wallet_id: UUID) -> None:
    """Give a wallet up as lost, once the chain shows it; a repeat changes nothing."""
    wallet = get_row(session, Wallet, wallet_id, kind="wallet", lock=True)
    if wallet.state != WalletState.RETIRED:
        wallet.state = WalletState.RETIRED
        session.flush()
        journal.record(
            session, THE_SYSTEM, "wallet_retired", "investor", wallet.investor_id,
            address=f"0x{wallet.address.hex()}",
        )  # fmt: skip


def verified_wallet(session: Session, investor_id: UUID) -> Wallet:
    """Return the investor's wallet that carries an identity on chain.

    Raises
    ------
    Conflict
        ``identity_not_ready``.
    """
    for wallet in list_wallets(session, investor_id):
        if wallet.state == WalletState.PROVEN and wallet.identity is not None:
            return wallet
    raise Conflict(
        "identity_not_ready",
        "The investor's identity is not on chain yet.",
        remedy="Wait until the operation of the KYC approval is final.",
    )


def _own(session: Session, actor: Actor, investor_id: UUID) -> Investor:
    investor = get_investor(session, investor_id)
    if investor.subject != actor.subject:
        raise NotFound("investor", investor_id)
    return investor

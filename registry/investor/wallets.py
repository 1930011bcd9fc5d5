"""Use cases on wallets: challenged, proven by EIP-4361, linked to an identity, given up."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from uuid import UUID

from sqlmodel import Session, col, select

from registry.investor.models import CustodialKey, Investor, Wallet, WalletState, has_owner
from registry.investor.service import get_investor, is_in_force, may_hold
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, NotFound
from registry.kernel.rows import among, get_row
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind

CHALLENGE_LIFETIME = timedelta(minutes=10)
MOST_WALLETS = 50
"""Of one investor, also of those given up: who is behind a token relies on it (ADR 0051)."""


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
        ``wallet_retired``: it was lost. ``too_many_wallets``.
    """
    own_investor(session, actor, investor_id)
    _refuse_too_many(session, investor_id)
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


def _refuse_too_many(session: Session, investor_id: UUID) -> None:
    """Refuse another wallet of who has many; a challenge that nobody answered is none."""
    proven = select(Wallet.id).where(col(Wallet.investor_id) == investor_id, has_owner())
    if len(session.exec(proven.limit(MOST_WALLETS)).all()) == MOST_WALLETS:
        raise Conflict(
            "too_many_wallets",
            f"Nobody has more than {MOST_WALLETS} wallets, with those given up.",
            remedy="Use one of your wallets.",
            values={"most": MOST_WALLETS},
        )


def open_challenge(session: Session, actor: Actor, investor_id: UUID, address: bytes) -> Wallet:
    """Return the wallet whose challenge is being answered.

    Raises
    ------
    NotFound
        No challenge was asked for.
    Conflict
        ``challenge_expired``, ``wallet_retired``.
    """
    own_investor(session, actor, investor_id)
    # Locked until the proof is recorded: else another could take the challenge over meanwhile,
    # and be given the wallet that this investor proves.
    wallet = lock_own_wallet(session, investor_id, address)
    _refuse_retired(wallet)
    until = wallet.challenge_expires_at
    if wallet.state == WalletState.CHALLENGED and (until is None or until < now()):
        raise Conflict(
            "challenge_expired", "The message to sign has expired.", remedy="Ask for a new one."
        )
    return wallet


def lock_own_wallet(session: Session, investor_id: UUID, address: bytes) -> Wallet:
    """Lock a wallet of an investor, and read it anew.

    Raises
    ------
    NotFound
        It is no wallet of theirs.
    """
    wallet = session.exec(
        select(Wallet)
        .where(col(Wallet.address) == address)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).first()
    if wallet is None or wallet.investor_id != investor_id:
        raise NotFound("wallet", f"0x{address.hex()}")
    return wallet


def find_challenge(session: Session, actor: Actor, investor_id: UUID, address: bytes) -> str | None:
    """Return what a wallet of the caller's has to sign now; None where nothing is open."""
    investor = session.get(Investor, investor_id)
    wallet = find_wallet(session, address)
    if investor is None or investor.subject != actor.subject or wallet is None:
        return None
    is_open = wallet.investor_id == investor_id and wallet.state == WalletState.CHALLENGED
    return wallet.challenge if is_open else None


def require_same_challenge(wallet: Wallet, challenge: str | None) -> None:
    """Refuse a signature of another message than the one that is open now.

    Raises
    ------
    Conflict
        ``wallet_proof_refused``.
    """
    if wallet.challenge != challenge:
        raise Conflict(
            "wallet_proof_refused",
            "Another message was asked for while this one's signature was checked.",
            remedy="Sign the newest challenge.",
        )


def _refuse_retired(wallet: Wallet) -> None:
    if wallet.state in {WalletState.RETIRING, WalletState.RETIRED}:
        raise Conflict(
            "wallet_retired",
            "This wallet was given up.",
            remedy="Prove another wallet.",
        )


def accept_proof(session: Session, actor: Actor, wallet: Wallet) -> Wallet:
    """Record that the signature was checked and is the wallet's own.

    Raises
    ------
    Conflict
        ``too_many_wallets``.
    """
    if wallet.state != WalletState.PROVEN:
        _refuse_too_many(session, wallet.investor_id)
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
        link_if_due(session, actor, wallet)
    return wallet


def link_if_due(session: Session, actor: Actor, wallet: Wallet) -> Operation | None:
    """Have another wallet of somebody whose KYC stands linked; the first waits for the KYC."""
    if wallet.identity is not None or not may_hold(get_investor(session, wallet.investor_id)):
        return None
    return plan_link(session, actor, wallet)


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


def wallets_that_may_hold(session: Session, ids: Collection[UUID]) -> set[UUID]:
    """Give those of many wallets whose investor may hold."""
    rows = session.exec(
        select(Wallet.id, Investor.kyc_state, Investor.kyc_valid_until)
        .join(Investor, col(Investor.id) == col(Wallet.investor_id))
        .where(among(col(Wallet.id), ids))
    )
    return {wallet for wallet, state, valid_until in rows if is_in_force(state, valid_until)}


def get_wallets(session: Session, ids: Collection[UUID]) -> dict[UUID, Wallet]:
    """Return many wallets by their ids, which are known to be there."""
    rows = session.exec(select(Wallet).where(among(col(Wallet.id), ids))).all()
    return {row.id: row for row in rows}


def list_wallets(session: Session, investor_id: UUID) -> Sequence[Wallet]:
    """List the wallets of an investor, oldest first."""
    return session.exec(
        select(Wallet).where(col(Wallet.investor_id) == investor_id).order_by(col(Wallet.id))
    ).all()


def find_wallet(session: Session, address: bytes) -> Wallet | None:
    return session.exec(select(Wallet).where(col(Wallet.address) == address)).first()


def retire_wallet(session: Session, wallet_id: UUID) -> None:
    """Give a wallet up, once the chain shows it; a repeat changes nothing."""
    wallet = get_row(session, Wallet, wallet_id, kind="wallet", lock=True)
    if wallet.state == WalletState.RETIRED:
        return
    wallet.state = WalletState.RETIRED
    key = session.exec(select(CustodialKey).where(col(CustodialKey.wallet_id) == wallet_id)).first()
    if key is not None:
        key.ended_at = now()
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


def own_investor(session: Session, actor: Actor, investor_id: UUID) -> Investor:
    """Return the caller's enrolment of that id.

    Raises
    ------
    NotFound
        There is none, or it is another's.
    """
    investor = get_investor(session, investor_id)
    if investor.subject != actor.subject:
        raise NotFound("investor", investor_id)
    return investor

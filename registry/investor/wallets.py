"""Use cases on wallets: challenged, proven by EIP-4361, linked to an identity, given up."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta
from typing import NoReturn
from uuid import UUID

from sqlalchemy import ColumnElement, delete, exists
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from registry.investor.models import (
    CustodialKey,
    Investor,
    KycState,
    Wallet,
    WalletChallenge,
    WalletState,
)
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
"""Of one investor, with those given up that may have held: who is behind a token relies on it
(ADR 0051)."""


def challenge_wallet(
    session: Session, actor: Actor, investor_id: UUID, *, address: bytes, message: str
) -> WalletChallenge:
    """Record the message that the wallet has to sign, in place of an earlier one.

    It reserves nothing: else anyone could block an address by asking.

    Parameters
    ----------
    address
        20 bytes.
    message
        By EIP-4361, with a nonce that nobody could guess.

    Raises
    ------
    Conflict
        ``wallet_taken``: it is somebody else's. ``wallet_proven``: nothing is left to prove.
        ``wallet_retired``: it was lost. ``too_many_wallets``.
    """
    # Locked: of two requests at one moment the second replaces what the first wrote.
    own_investor(session, actor, investor_id, lock=True)
    refuse_too_many(session, investor_id)
    wallet = find_wallet(session, address)
    if wallet is not None:
        _refuse_known(wallet, investor_id)
    session.execute(
        delete(WalletChallenge).where(
            col(WalletChallenge.investor_id) == investor_id,
            (col(WalletChallenge.address) == address) | (col(WalletChallenge.expires_at) < now()),
        )
    )
    challenge = WalletChallenge(
        investor_id=investor_id,
        address=address,
        message=message,
        expires_at=now() + CHALLENGE_LIFETIME,
    )
    session.add(challenge)
    session.flush()
    return challenge


def refuse_too_many(session: Session, investor_id: UUID, *, custodial: bool = False) -> None:
    """Refuse another wallet of who has many.

    One that was given up before it had an identity held nothing, and is not counted: else whoever
    had an enrolment before it was handed over could leave it full.

    Parameters
    ----------
    custodial
        The wallet is one in our custody. Of those each counts, since its key is kept for ever.

    Raises
    ------
    Conflict
        ``too_many_wallets``.
    """
    counts = (col(Wallet.state) != WalletState.RETIRED) | col(Wallet.identity).is_not(None)
    if custodial:
        counts |= col(Wallet.is_custodial).is_(True)
    known = select(Wallet.id).where(col(Wallet.investor_id) == investor_id, counts)
    if len(session.exec(known.limit(MOST_WALLETS)).all()) == MOST_WALLETS:
        raise Conflict(
            "too_many_wallets",
            f"Nobody has more than {MOST_WALLETS} wallets, with those given up.",
            remedy="Use one of your wallets.",
            values={"most": MOST_WALLETS},
        )


def _refuse_known(wallet: Wallet, investor_id: UUID) -> NoReturn:
    """Say why there is nothing to prove of a wallet that is somebody's."""
    if wallet.investor_id != investor_id:
        raise _taken()
    if wallet.state != WalletState.PROVEN:
        raise Conflict(
            "wallet_retired", "This wallet was given up.", remedy="Prove another wallet."
        )
    raise Conflict("wallet_proven", "This wallet is proven already.")


def _taken() -> Conflict:
    return Conflict("wallet_taken", "This wallet belongs to another investor.")


def find_own(session: Session, actor: Actor, investor_id: UUID, address: bytes) -> Wallet | None:
    """Return a wallet that the caller has proven, and not given up.

    Raises
    ------
    NotFound
        It is not the caller's enrolment.
    """
    own_investor(session, actor, investor_id)
    wallet = find_wallet(session, address)
    if wallet is None or wallet.investor_id != investor_id:
        return None
    return wallet if wallet.state == WalletState.PROVEN else None


def open_challenge(
    session: Session, actor: Actor, investor_id: UUID, address: bytes
) -> WalletChallenge:
    """Return the challenge that is being answered; it stays as it is until the proof is recorded.

    Raises
    ------
    NotFound
        No challenge was asked for.
    Conflict
        ``challenge_expired``, ``wallet_retired``, ``wallet_proven``, ``wallet_taken``.
    """
    own_investor(session, actor, investor_id, lock=True)
    challenge = session.exec(
        select(WalletChallenge).where(
            col(WalletChallenge.investor_id) == investor_id,
            col(WalletChallenge.address) == address,
        )
    ).first()
    wallet = find_wallet(session, address)
    is_own = wallet is not None and wallet.investor_id == investor_id
    if challenge is None and not is_own:
        raise NotFound("wallet", f"0x{address.hex()}")
    if wallet is not None:
        _refuse_known(wallet, investor_id)
    assert challenge is not None, "what is nobody's was asked for"
    if challenge.expires_at < now():
        raise Conflict(
            "challenge_expired", "The message to sign has expired.", remedy="Ask for a new one."
        )
    return challenge


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
    """Return the message that the caller was asked to sign with a wallet; None where none is."""
    return session.exec(
        select(WalletChallenge.message)
        .join(Investor, col(Investor.id) == col(WalletChallenge.investor_id))
        .where(
            col(Investor.id) == investor_id,
            col(Investor.subject) == actor.subject,
            col(WalletChallenge.address) == address,
        )
    ).first()


def require_same_message(challenge: WalletChallenge, message: str | None) -> None:
    """Refuse a signature of another message than the one that is open now.

    Raises
    ------
    Conflict
        ``wallet_proof_refused``.
    """
    if challenge.message != message:
        raise Conflict(
            "wallet_proof_refused",
            "Another message was asked for while this one's signature was checked.",
            remedy="Sign the newest challenge.",
        )


def accept_proof(session: Session, actor: Actor, challenge: WalletChallenge) -> Wallet:
    """Record that the signature was checked, and is the wallet's own: from now on it is theirs.

    Raises
    ------
    Conflict
        ``too_many_wallets``. ``wallet_taken``: somebody else has proven it meanwhile.
    """
    refuse_too_many(session, challenge.investor_id)
    proven = Wallet(
        investor_id=challenge.investor_id,
        address=challenge.address,
        challenge=challenge.message,
        proven_at=now(),
    )
    # Two investors with one key may prove it at one moment; the second waits for the first.
    added = session.execute(
        insert(Wallet)
        .values(**proven.model_dump())
        .on_conflict_do_nothing(index_elements=["address"])
        .returning(col(Wallet.id))
    ).first()
    if added is None:
        raise _taken()
    session.delete(challenge)
    session.flush()
    wallet = session.get_one(Wallet, proven.id)
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


def record_identity(session: Session, wallet: Wallet, identity: bytes) -> None:
    """Record the identity that the chain shows of a wallet; the same again changes nothing.

    Parameters
    ----------
    identity
        20 bytes: the address of the ONCHAINID.
    """
    if wallet.identity == identity:
        return
    wallet.identity = identity
    session.add(wallet)
    session.flush()
    journal.record(
        session, THE_SYSTEM, "wallet_identified", "investor", wallet.investor_id,
        address=f"0x{wallet.address.hex()}", identity=f"0x{identity.hex()}",
    )  # fmt: skip


def wallets_that_may_hold(session: Session, ids: Collection[UUID]) -> set[UUID]:
    """Give those of many wallets whose investor may hold."""
    rows = session.exec(
        select(Wallet.id, Investor.kyc_state, Investor.kyc_valid_until)
        .join(Investor, col(Investor.id) == col(Wallet.investor_id))
        .where(among(col(Wallet.id), ids))
    )
    return {wallet for wallet, state, valid_until in rows if is_in_force(state, valid_until)}


def evidence_of(session: Session, ids: Collection[UUID]) -> dict[UUID, bytes | None]:
    """Give, of many wallets, the hash of the review by which their investor last passed KYC."""
    rows = session.exec(
        select(Wallet.id, Investor.kyc_evidence_sha256)
        .join(Investor, col(Investor.id) == col(Wallet.investor_id))
        .where(among(col(Wallet.id), ids))
    )
    return dict(rows.all())


def may_receive(investor_id: Mapped[UUID]) -> ColumnElement[bool]:
    """Give the condition that an investor may hold now, and has a wallet to receive in.

    Parameters
    ----------
    investor_id
        The column that names the investor.
    """
    return exists().where(
        col(Investor.id) == investor_id,
        col(Investor.kyc_state) == KycState.APPROVED,
        col(Investor.kyc_valid_until) > now(),
        col(Wallet.investor_id) == col(Investor.id),
        col(Wallet.state) == WalletState.PROVEN,
        col(Wallet.identity).is_not(None),
    )


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


def own_investor(
    session: Session, actor: Actor, investor_id: UUID, *, lock: bool = False
) -> Investor:
    """Return the caller's enrolment of that id.

    Raises
    ------
    NotFound
        There is none, or it is another's.
    """
    investor = get_investor(session, investor_id, lock=lock)
    if investor.subject != actor.subject:
        raise NotFound("investor", investor_id)
    return investor

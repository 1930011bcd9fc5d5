"""Use cases on KYC: passed or not, by compliance."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from registry.investor.models import Investor, KycState, Wallet, WalletState
from registry.investor.service import KYC_TOPIC, get_investor
from registry.investor.wallets import list_wallets, plan_link
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind

MAX_KYC_LIFETIME = timedelta(days=2 * 365)


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

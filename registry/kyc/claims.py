"""What a KYC does on chain: the identity, its claim, and the claim's end."""

from __future__ import annotations

from sqlmodel import Session

from registry.investor.models import WalletState
from registry.investor.service import KYC_TOPIC
from registry.investor.wallets import link_if_due, list_wallets, plan_link
from registry.kernel.actor import Actor
from registry.kyc.models import KycReview, ReviewState
from registry.kyc.repository import list_reviews_of
from registry.operation import service as operations
from registry.operation.models import IN_FLIGHT, Operation, OperationKind


def plan_claim(session: Session, actor: Actor, review: KycReview) -> Operation:
    """Have the identity of an investor made, and the claim of their review put on it.

    Returns
    -------
    Operation
        The claim's; when it is final the investor can receive tokens.
    """
    assert review.valid_until is not None
    assert review.review_sha256 is not None
    wallet, *others = (
        wallet
        for wallet in list_wallets(session, review.investor_id)
        if wallet.state == WalletState.PROVEN
    )
    for other in others:
        link_if_due(session, actor, other)
    evidence = review.review_sha256.hex()
    return operations.plan(
        session,
        actor,
        OperationKind.ADD_CLAIM,
        key=f"add_claim:0x{wallet.address.hex()}:{KYC_TOPIC}:{evidence}",
        subject=("investor", review.investor_id),
        params={
            "wallet_id": str(wallet.id),
            "topic": KYC_TOPIC,
            "expires_at": int(review.valid_until.timestamp()),
            "evidence_sha256": evidence,
        },
        after=[plan_link(session, actor, wallet), *_revocations_under_way(session, review)],
    )


def _revocations_under_way(session: Session, review: KycReview) -> list[Operation]:
    """List revocations that were signed: a claim issued before them would end with them."""
    earlier = [
        operations.find_by_key(session, _revocation_key(row))
        for row in list_reviews_of(session, review.investor_id)
        if row.state in {ReviewState.LAPSED, ReviewState.REVOKED}
    ]
    return [
        row for row in earlier if row is not None and row.state in IN_FLIGHT and not row.has_failed
    ]


def plan_revocation(session: Session, actor: Actor, review: KycReview) -> Operation | None:
    """Have the claim of a review that has ended revoked, if there is an identity to carry one."""
    linked = [
        wallet
        for wallet in list_wallets(session, review.investor_id)
        if wallet.identity is not None
    ]
    if not linked:
        return None
    # One identity for all wallets of an investor, so one revocation.
    return operations.plan(
        session,
        actor,
        OperationKind.REVOKE_CLAIM,
        key=_revocation_key(review),
        subject=("investor", review.investor_id),
        params={"wallet_id": str(linked[0].id), "topic": KYC_TOPIC},
    )


def _revocation_key(review: KycReview) -> str:
    return f"revoke_claim:{review.id}"

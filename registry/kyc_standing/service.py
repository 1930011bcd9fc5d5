"""What a decision on a KYC does to what its holder has: wallets frozen, and freed again.

The registry decides and plans the chain's part in one transaction. The sweep asks the same again:
what somebody came by since, or what could not be planned at the moment, is found by its state.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from registry.case import kyc_freeze
from registry.investor import service as investors
from registry.investor.models import BARRED, Investor
from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict
from registry.kyc import decision
from registry.kyc.models import KycReview
from registry.kyc.repository import find_approved, get_review, last_ended
from registry.operation.models import Operation
from registry.sanctions import hits
from registry.sanctions.models import HitState, SanctionsHit
from registry.title.owners import parties_in_front


def approve_kyc(
    session: Session,
    actor: Actor,
    investor_id: UUID,
    *,
    valid_until: datetime | None = None,
    seen_sha256: bytes,
) -> Operation:
    """Approve as `decision.approve_review` does, and release what was frozen for want of a KYC."""
    claim = decision.approve_review(
        session, actor, investor_id, valid_until=valid_until, seen_sha256=seen_sha256
    )
    for case_id in kyc_freeze.list_releasable(session, investor_id):
        kyc_freeze.release(session, case_id)
    return claim


def revoke_kyc(session: Session, actor: Actor, investor_id: UUID, *, reason: str) -> Investor:
    """End a KYC at once: the claim is revoked and every wallet frozen.

    One officer does it: it only protects, and a new review by two undoes it.

    Raises
    ------
    Invalid
        ``reason_missing``.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``kyc_not_in_force``.
    """
    investor, review = _in_force(session, investor_id)
    decision.end_revoked(session, actor, investor, review, reason=reason)
    kyc_freeze.impose(session, investor, review)
    return investor


def lapse_kyc(session: Session, investor_id: UUID) -> Investor:
    """End a KYC that has run out, as `revoke_kyc` does.

    Raises
    ------
    Conflict
        ``kyc_not_in_force``, ``kyc_in_force``.
    """
    investor, review = _in_force(session, investor_id)
    decision.end_lapsed(session, investor, review)
    kyc_freeze.impose(session, investor, review)
    return investor


def _in_force(session: Session, investor_id: UUID) -> tuple[Investor, KycReview]:
    """Return an investor and the review by which they may hold, both locked.

    Raises
    ------
    Conflict
        ``kyc_not_in_force``.
    """
    investor = investors.get_investor(session, investor_id, lock=True)
    standing = find_approved(session, investor_id)
    if standing is None:
        raise Conflict("kyc_not_in_force", f"This KYC is {investor.kyc_state}.")
    return investor, get_review(session, standing.id, lock=True)


def freeze_rest(session: Session, investor_id: UUID) -> list[Operation]:
    """Freeze what somebody without standing came by after they had lost it.

    Raises
    ------
    Conflict
        ``kyc_in_force``.
    """
    investor = investors.get_investor(session, investor_id, lock=True)
    review = last_ended(session, investor_id)
    if investor.kyc_state not in BARRED or review is None:
        raise Conflict("kyc_in_force", "The KYC of the holder is in force again.")
    return kyc_freeze.impose(session, investor, review)


def confirm_hit(session: Session, actor: Actor, hit_id: UUID, *, reason: str) -> SanctionsHit:
    """Decide on a hit as `hits.confirm_hit` does; a true match ends KYCs at once.

    These are the KYC of whom it is, and of every company or group that they are behind.

    Raises
    ------
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``sanctions_hit_decided``, ``sanctions_hit_not_recommended``.
    NotFound
    """
    hit = hits.confirm_hit(session, actor, hit_id, reason=reason)
    if hit.state == HitState.TRUE_MATCH:
        why = f"Sanctions list, reference {hit.reference} (hit {hit.id})."
        concerned = parties_in_front(session, [hit.party_id])
        # All of them first: what ends a KYC takes the turn of cases, which comes after investors.
        enrolled = [
            investors.get_investor(session, investor.id, lock=True)
            for investor in investors.list_investors_for(session, concerned)
        ]
        for investor in enrolled:
            if find_approved(session, investor.id) is not None:
                revoke_kyc(session, actor, investor.id, reason=why)
    return hit

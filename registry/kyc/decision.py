"""Use cases by which two officers judge a review, and by which what they decided ends."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from registry.investor import service as investors
from registry.investor.models import Investor, KycState
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.canonical import record_hash
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.vault import Vault
from registry.kyc.claims import plan_claim, plan_revocation
from registry.kyc.guards import MACHINE
from registry.kyc.models import KycReview, Recommendation, ReviewState, Risk
from registry.kyc.policy import kyc_policy
from registry.kyc.profile import keep, pep_position_of, profile_of
from registry.kyc.repository import (
    find_approved,
    find_open,
    get_review,
    list_papers,
    list_reviews_of,
)
from registry.lifecycle import service as lifecycle
from registry.operation.models import Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """What the first officer makes of a review.

    Parameters
    ----------
    pep_position
        The public function of a politically exposed person (FATF Recommendation 12).
    """

    recommendation: Recommendation
    risk: Risk
    is_pep: bool
    reason: str
    pep_position: str | None = None


def recommend_review(
    session: Session, vault: Vault, actor: Actor, review_id: UUID, said: Assessment
) -> KycReview:
    """Judge a review as its first officer; a second one decides.

    Raises
    ------
    Invalid
        ``pep_position_wrong``, ``reason_missing``.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``source_of_wealth_missing``, ``transition_refused``.
    """
    review = get_review(session, review_id, lock=True)
    profile = profile_of(vault, review)
    assert profile is not None, "only decisions older than reviews have none"
    given = {**_fields(said), "source_of_wealth": profile.source_of_wealth}
    lifecycle.fire(
        session, actor, MACHINE, review, "recommend", given=given,
        recommendation=said.recommendation, risk=said.risk, is_pep=said.is_pep, reason=said.reason,
    )  # fmt: skip
    keep(vault, review, profile, pep_position=said.pep_position)
    review.maker, review.recommendation = actor.subject, said.recommendation
    review.risk, review.is_pep, review.reason = said.risk, said.is_pep, said.reason
    review.review_sha256 = recommended_sha256(session, vault, review)
    session.flush()
    return review


def recommended_sha256(session: Session, vault: Vault, review: KycReview) -> bytes | None:
    """Return the hash of what was recommended, as it is kept now; None where no profile is.

    Raises
    ------
    SealBroken
    """
    profile = profile_of(vault, review)
    if profile is None:
        return None
    papers = list_papers(session, review.id)
    assessment = {
        "recommendation": review.recommendation,
        "risk": review.risk,
        "is_pep": review.is_pep,
        "reason": review.reason,
        "pep_position": pep_position_of(vault, review),
    }
    return record_hash(
        {
            "review": str(review.id),
            "investor": str(review.investor_id),
            "profile": asdict(profile)
            | {"yearly_investment_paisa": str(profile.yearly_investment_paisa)},
            "papers": [[paper.kind, paper.sha256.hex()] for paper in papers],
            "assessment": {name: _plain(value) for name, value in assessment.items()},
            "maker": review.maker,
        }
    )


def _fields(said: Assessment) -> dict[str, object]:
    return {name: getattr(said, name) for name in Assessment.__dataclass_fields__}


def _plain(value: object) -> object:
    return value if isinstance(value, bool) or value is None else str(value)


def return_review(session: Session, actor: Actor, review_id: UUID, *, reason: str) -> KycReview:
    """Give a review back to be completed; what was recommended of it is void.

    Raises
    ------
    Invalid
        ``reason_missing``.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``transition_refused``.
    """
    review = get_review(session, review_id, lock=True)
    lifecycle.fire(
        session, actor, MACHINE, review, "return", given={"reason": reason}, reason=reason
    )
    review.maker = review.recommendation = review.review_sha256 = None
    review.risk = review.is_pep = None
    review.reason, review.submitted_at = reason, None
    session.flush()
    return review


def in_hand(session: Session, investor_id: UUID) -> tuple[Investor, KycReview]:
    """Return an investor and the review that waits for its decision, both locked.

    Raises
    ------
    Conflict
        ``kyc_decided``, ``kyc_not_recommended``.
    """
    investor = investors.get_investor(session, investor_id, lock=True)
    review = find_open(session, investor_id)
    if review is None and list_reviews_of(session, investor_id):
        raise Conflict("kyc_decided", f"This KYC is {investor.kyc_state} already.")
    if review is None or review.state != ReviewState.RECOMMENDED:
        raise Conflict(
            "kyc_not_recommended",
            "No review of this investor waits for a decision.",
            remedy="Have a first officer recommend at /v1/kyc_reviews/{id}/recommend.",
        )
    return investor, get_review(session, review.id, lock=True)


def approve_review(
    session: Session,
    actor: Actor,
    investor_id: UUID,
    *,
    valid_until: datetime | None = None,
    seen_sha256: bytes,
) -> Operation:
    """Let an investor hold tokens: make their identity and put the claim on it, on chain.

    Parameters
    ----------
    valid_until
        At most as long as the policy says for the risk, which is also the default.
    seen_sha256
        The `review_sha256` of what the second officer read.

    Returns
    -------
    Operation
        The last one planned; when it is final the investor can receive tokens.

    Raises
    ------
    Invalid
        ``kyc_validity_out_of_range``.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``kyc_decided``, ``kyc_not_recommended``, ``kyc_review_changed``, ``wallet_not_proven``.
    """
    investor, review = in_hand(session, investor_id)
    assert review.risk is not None
    longest = now() + kyc_policy().validity[review.risk]
    valid_until = valid_until or longest
    if not now() < valid_until <= longest:
        raise Invalid(
            "kyc_validity_out_of_range",
            f"A KYC of {review.risk} risk is good from now until {longest.date()} at most.",
            field="/valid_until",
        )
    given = {"seen_sha256": seen_sha256}
    lifecycle.ask(session, actor, MACHINE, review, "approve", given=given)
    before = find_approved(session, investor_id)
    if before is not None:
        lifecycle.fire(
            session, THE_SYSTEM, MACHINE, before, "supersede",
            given={"newer": review}, by=str(review.id),
        )  # fmt: skip
        _end(session, before, THE_SYSTEM, "Renewed.")
    review.valid_until = valid_until
    lifecycle.fire(
        session, actor, MACHINE, review, "approve", given=given,
        valid_until=valid_until.isoformat(), review_sha256=seen_sha256.hex(),
    )  # fmt: skip
    review.checker, review.decided_at = actor.subject, now()
    investor.kyc_state, investor.kyc_valid_until = KycState.APPROVED, valid_until
    investor.kyc_evidence_sha256, investor.kyc_decided_by = review.review_sha256, actor.subject
    session.flush()
    return plan_claim(session, actor, review)


def reject_review(session: Session, actor: Actor, investor_id: UUID, *, reason: str) -> Investor:
    """Decide that the investor is not accepted; a KYC that is in force stays so until its end.

    Raises
    ------
    Invalid
        ``reason_missing``.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``kyc_decided``, ``kyc_not_recommended``.
    """
    investor, review = in_hand(session, investor_id)
    lifecycle.fire(
        session, actor, MACHINE, review, "reject", given={"reason": reason}, reason=reason
    )
    review.checker, review.decided_at = actor.subject, now()
    review.decision_reason = reason
    if investor.kyc_state == KycState.PENDING:
        investor.kyc_state, investor.kyc_decided_by = KycState.REJECTED, actor.subject
    session.flush()
    return investor


def end_lapsed(session: Session, investor: Investor, review: KycReview) -> None:
    """End a KYC that has run out.

    Raises
    ------
    Conflict
        ``kyc_in_force``, ``transition_refused``.
    """
    lifecycle.fire(session, THE_SYSTEM, MACHINE, review, "lapse")
    _end(session, review, THE_SYSTEM, "It has run out.")
    investor.kyc_state = KycState.LAPSED
    session.flush()
    plan_revocation(session, THE_SYSTEM, review)


def end_revoked(
    session: Session, actor: Actor, investor: Investor, review: KycReview, *, reason: str
) -> None:
    """End a KYC that does not hold any more.

    Raises
    ------
    Invalid
        ``reason_missing``.
    Forbidden
        ``checker_is_maker``.
    """
    lifecycle.fire(
        session, actor, MACHINE, review, "revoke", given={"reason": reason}, reason=reason
    )
    _end(session, review, actor, reason)
    investor.kyc_state = KycState.REVOKED
    session.flush()
    plan_revocation(session, actor, review)


def _end(session: Session, review: KycReview, actor: Actor, reason: str) -> None:
    review.ended_by, review.ended_at, review.end_reason = actor.subject, now(), reason
    session.flush()

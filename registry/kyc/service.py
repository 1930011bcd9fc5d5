"""Use cases on KYC reviews until they are judged: opened, amended, submitted, withdrawn."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from registry.investor import service as investors
from registry.investor.models import Investor, KycState
from registry.journal import service as journal
from registry.kernel.actor import OVERSIGHT, Actor, Role
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.kernel.vault import Vault
from registry.kyc.guards import MACHINE
from registry.kyc.models import KycReview, ReviewState
from registry.kyc.policy import kyc_policy, papers_for
from registry.kyc.profile import Profile, keep
from registry.kyc.repository import find_approved, find_open, get_review
from registry.lifecycle import service as lifecycle
from registry.party import service as parties
from registry.sanctions.screening import screen_party


def open_review(
    session: Session, vault: Vault, actor: Actor, investor_id: UUID, profile: Profile
) -> KycReview:
    """Open a review: of oneself, or by compliance for an investor.

    Raises
    ------
    Invalid
        ``investment_negative``.
    Conflict
        ``party_cannot_enrol``, ``kyc_review_open``, ``kyc_renewal_too_early``.
    NotFound
    """
    _check(profile)
    investor = investors.get_investor(session, investor_id, lock=True)
    _require_concerned(actor, investor, "investor", investor_id)
    papers_for(parties.get_party(session, investor.party_id).kind)
    if find_open(session, investor_id) is not None:
        raise _open_already()
    standing = find_approved(session, investor_id)
    if standing is not None and investors.may_hold(investor):
        assert standing.valid_until is not None
        opens_at = standing.valid_until - kyc_policy().renewal_window
        if now() < opens_at:
            raise Conflict(
                "kyc_renewal_too_early",
                f"This KYC is in force; it can be renewed from {opens_at.date()} on.",
            )
    review = KycReview(
        investor_id=investor_id,
        renews_id=standing.id if standing else None,
        opened_by=actor.subject,
    )
    keep(vault, review, profile)
    try:
        with session.begin_nested():
            session.add(review)
    except IntegrityError as error:
        raise _open_already() from error
    if investor.kyc_state == KycState.REJECTED:
        investor.kyc_state = KycState.PENDING
    session.flush()
    journal.record(
        session, actor, "kyc_review_opened", "kyc_review", review.id, investor_id=str(investor_id)
    )
    return review


def _check(profile: Profile) -> None:
    if profile.yearly_investment_paisa < 0:
        raise Invalid(
            "investment_negative",
            "What somebody expects to invest is not below zero.",
            field="/yearly_investment",
        )


def _open_already() -> Conflict:
    return Conflict(
        "kyc_review_open",
        "A review of this investor is open already.",
        remedy="Go on with that one, or withdraw it.",
    )


def _require_concerned(actor: Actor, investor: Investor, kind: str, what: UUID) -> None:
    """Refuse whoever is neither the investor nor compliance, as if there were nothing."""
    if not actor.has(Role.COMPLIANCE) and not actor.is_person_of(investor.subject):
        raise NotFound(kind, what)


def require_readable(session: Session, actor: Actor, review: KycReview) -> None:
    """Refuse whoever neither oversees nor is the investor, as if there were nothing.

    Raises
    ------
    NotFound
    """
    investor = investors.get_investor(session, review.investor_id)
    if not actor.has(*OVERSIGHT) and not actor.is_person_of(investor.subject):
        raise NotFound("kyc_review", review.id)


def assessments_told_to(session: Session, actor: Actor) -> Callable[[KycReview], bool]:
    """Give what tells of which reviews somebody may read what the officers make of them.

    Of all, for who oversees, but not as whom the officers judge (AMLA 2010, s. 7).
    """
    if not actor.has(*OVERSIGHT):
        return lambda _: False
    own = investors.find_investor_of(session, actor.person)
    return lambda review: own is None or review.investor_id != own.id


def draft(session: Session, actor: Actor, review_id: UUID) -> KycReview:
    """Return a review that the caller may still change, locked.

    Raises
    ------
    Conflict
        ``kyc_review_submitted``.
    NotFound
    """
    review = get_review(session, review_id, lock=True)
    investor = investors.get_investor(session, review.investor_id)
    _require_concerned(actor, investor, "kyc_review", review_id)
    if review.state != ReviewState.DRAFT:
        raise Conflict(
            "kyc_review_submitted",
            f"The review is {review.state}; it is changed no more.",
            remedy="Have compliance return it.",
        )
    return review


def amend_profile(
    session: Session, vault: Vault, actor: Actor, review_id: UUID, profile: Profile
) -> KycReview:
    """Replace what a draft says.

    Raises
    ------
    Invalid
        ``investment_negative``.
    Conflict
        ``kyc_review_submitted``.
    NotFound
    """
    _check(profile)
    review = draft(session, actor, review_id)
    keep(vault, review, profile)
    session.flush()
    journal.record(session, actor, "kyc_review_amended", "kyc_review", review.id)
    return review


def submit_review(session: Session, vault: Vault, actor: Actor, review_id: UUID) -> KycReview:
    """Hand a review in; the investor and whoever is behind them are screened.

    Raises
    ------
    Conflict
        ``kyc_papers_missing``, ``transition_refused``.
    NotFound
    """
    review = _concerned(session, actor, review_id)
    lifecycle.fire(session, actor, MACHINE, review, "submit")
    review.submitted_at = now()
    session.flush()
    investor = investors.get_investor(session, review.investor_id)
    screen_party(session, vault, investor.party_id)
    return review


def withdraw_review(session: Session, actor: Actor, review_id: UUID) -> KycReview:
    """Take a review back that nobody has decided on; what was in force stays in force.

    Raises
    ------
    Forbidden
        ``not_the_maker``.
    Conflict
        ``transition_refused``.
    NotFound
    """
    review = _concerned(session, actor, review_id)
    lifecycle.fire(session, actor, MACHINE, review, "withdraw")
    return review


def withdraw_for_handover(session: Session, actor: Actor, investor_id: UUID) -> None:
    """Take the open review back of an enrolment that goes to whom it is about.

    Raises
    ------
    Conflict
        ``kyc_review_recommended``: another officer is to decide on it.
    """
    review = find_open(session, investor_id)
    if review is None:
        return
    review = get_review(session, review.id, lock=True)
    if review.state == ReviewState.RECOMMENDED:
        raise Conflict(
            "kyc_review_recommended",
            "A review of this enrolment was recommended, and is to be decided on.",
            remedy="Reject it, or return it, first.",
        )
    lifecycle.fire(session, actor, MACHINE, review, "withdraw", given={"is_handover": True})


def _concerned(session: Session, actor: Actor, review_id: UUID) -> KycReview:
    review = get_review(session, review_id, lock=True)
    investor = investors.get_investor(session, review.investor_id)
    _require_concerned(actor, investor, "kyc_review", review_id)
    return review

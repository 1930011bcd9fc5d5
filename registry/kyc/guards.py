"""Whether an event may happen to a KYC review; who may fire it stands in the table."""

from __future__ import annotations

from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import WalletState
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.kyc.models import KycReview, Recommendation, Risk
from registry.kyc.policy import papers_for
from registry.kyc.repository import list_papers
from registry.lifecycle.reasons import require_other_person, require_reason
from registry.lifecycle.service import Attempt, guard
from registry.party import service as parties
from registry.sanctions.hits import require_unlisted
from registry.sanctions.screening import is_screened

MACHINE = "kyc_review"

Try = Attempt[KycReview]


@guard(MACHINE, "submit")
def papers_are_complete(attempt: Try) -> None:
    """The papers that the policy asks of such a party are filed."""
    investor = investors.get_investor(attempt.session, attempt.record.investor_id)
    kind = parties.get_party(attempt.session, investor.party_id).kind
    filed = {paper.kind for paper in list_papers(attempt.session, attempt.record.id)}
    missing = sorted(set(papers_for(kind)) - filed)
    if missing:
        raise Conflict(
            "kyc_papers_missing",
            f"Papers are missing: {', '.join(missing)}.",
            remedy="File them at /v1/kyc_reviews/{id}/documents.",
        )


@guard(MACHINE, "recommend", "return", "approve", "reject", "revoke")
def nobody_judges_themselves(attempt: Try) -> None:
    """Neither the investor nor, of the decision, who recommended it."""
    investor = investors.get_investor(attempt.session, attempt.record.investor_id)
    checked = attempt.event in {"approve", "reject"}
    require_other_person(attempt, investor.subject, attempt.record.maker if checked else None)


@guard(MACHINE, "recommend", "return", "reject", "revoke")
def says_why(attempt: Try) -> None:
    require_reason(attempt)


@guard(MACHINE, "recommend")
def assessment_is_whole(attempt: Try) -> None:
    """A PEP has a position; high risk and PEPs have said how their wealth came about."""
    pep_position = attempt.given.get("pep_position")
    if bool(attempt.given["is_pep"]) != bool(pep_position):
        raise Invalid(
            "pep_position_wrong",
            "A politically exposed person has a position, and nobody else has.",
            field="/pep_position",
        )
    enhanced = attempt.given["is_pep"] or attempt.given["risk"] == Risk.HIGH
    approves = attempt.given["recommendation"] == Recommendation.APPROVE
    if enhanced and approves and not attempt.given["source_of_wealth"]:
        raise Conflict(
            "source_of_wealth_missing",
            "Enhanced due diligence needs a stated source of wealth.",
            remedy="Return the review, and have the investor state it.",
        )


@guard(MACHINE, "approve", "reject")
def exactly_what_was_recommended(attempt: Try) -> None:
    """The decision is on what was read; two officers who disagree have it returned first."""
    seen = attempt.given.get("seen_sha256")
    if seen is not None and seen != attempt.record.review_sha256:
        raise Conflict(
            "kyc_review_changed",
            "The review is not the one that you read.",
            remedy="Read it again, and decide on its review_sha256.",
        )
    recommended = attempt.record.recommendation
    if attempt.event == "approve" and recommended != Recommendation.APPROVE:
        raise Conflict(
            "kyc_not_recommended",
            "The first officer recommends to reject; one alone cannot approve against that.",
            remedy="Return the review for a new recommendation, or reject it.",
        )


@guard(MACHINE, "approve")
def has_a_wallet(attempt: Try) -> None:
    """There is somewhere to put the claim."""
    own = wallets.list_wallets(attempt.session, attempt.record.investor_id)
    if not any(wallet.state == WalletState.PROVEN for wallet in own):
        raise Conflict(
            "wallet_not_proven",
            "The investor has proven no wallet, so there is nowhere to put the claim.",
            remedy="Have them sign the challenge of /v1/investors/{id}/wallets first.",
        )


@guard(MACHINE, "approve")
def is_on_no_list(attempt: Try) -> None:
    """Nobody whom a list may name passes, in person or behind others, before two have looked."""
    investor = investors.get_investor(attempt.session, attempt.record.investor_id)
    if not is_screened(attempt.session, investor.party_id):
        raise Conflict(
            "sanctions_not_screened",
            "The investor, or somebody behind them, was not screened yet against the newest list.",
            remedy="Wait until the screening has come to them; /v1/sanctions_lists shows how far.",
        )
    require_unlisted(attempt.session, investor.party_id)


@guard(MACHINE, "withdraw")
def by_whom_it_is_about(attempt: Try) -> None:
    """The investor, or the officer who opened it for them; or two, who hand the enrolment over."""
    if attempt.given.get("is_handover"):
        return
    investor = investors.get_investor(attempt.session, attempt.record.investor_id)
    if not attempt.actor.is_person_of(investor.subject, attempt.record.opened_by):
        raise Forbidden("not_the_maker", "Whoever opened this withdraws it; others reject it.")


@guard(MACHINE, "lapse")
def has_run_out(attempt: Try) -> None:
    valid_until = attempt.record.valid_until
    if valid_until is None or valid_until > now():
        raise Conflict("kyc_in_force", "This KYC has not run out.")


@guard(MACHINE, "supersede")
def has_a_successor(attempt: Try) -> None:
    newer: KycReview = attempt.given["newer"]
    assert newer.renews_id == attempt.record.id

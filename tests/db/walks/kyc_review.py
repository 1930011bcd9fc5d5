"""The walk of a KYC review: said, submitted, recommended, decided, and how it ends."""

from __future__ import annotations

from datetime import timedelta

from registry.investor.models import Investor
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kyc import decision
from registry.kyc import service as reviews
from registry.kyc.models import KycReview
from registry.kyc_standing import service as standing
from tests import factories as make
from tests import kyc
from tests.db.beginnings import after
from tests.db.walks.board import Scenario, Walk
from tests.factories import Desk
from tests.kyc import FIRST_OFFICER, SECOND_OFFICER


def investor_of(desk: Desk, review: KycReview) -> Investor:
    return desk.session.get_one(Investor, review.investor_id)


def themselves(desk: Desk, review: KycReview) -> Actor:
    subject = investor_of(desk, review).subject
    return Actor(subject, frozenset({Role.INVESTOR, Role.COMPLIANCE}))


def draft(desk: Desk) -> KycReview:
    who, investor = make.enrolled(desk)
    make.proven_wallet(desk, who, investor.id)
    return kyc.opened(desk, who, investor)


def submit(desk: Desk, review: KycReview) -> None:
    who = themselves(desk, review)
    kyc.file_papers(desk, who, review)
    submit_bare(desk, review)


def submit_bare(desk: Desk, review: KycReview) -> None:
    reviews.submit_review(desk.session, desk.vault, themselves(desk, review), review.id)


@after(draft)
def submitted(desk: Desk, review: KycReview) -> KycReview:
    submit(desk, review)
    return review


@after(submitted)
def recommended(desk: Desk, review: KycReview) -> KycReview:
    return kyc.recommend(desk, review)


@after(recommended)
def approved(desk: Desk, review: KycReview) -> KycReview:
    kyc.approve(desk, review)
    return review


def withdraw(desk: Desk, review: KycReview) -> None:
    reviews.withdraw_review(desk.session, themselves(desk, review), review.id)


def withdraw_anothers(desk: Desk, review: KycReview) -> None:
    reviews.withdraw_review(desk.session, FIRST_OFFICER, review.id)


def give_back(desk: Desk, review: KycReview, reason: str = "The card is unreadable.") -> None:
    decision.return_review(desk.session, SECOND_OFFICER, review.id, reason=reason)


def reject(desk: Desk, review: KycReview, officer: Actor = SECOND_OFFICER) -> None:
    decision.reject_review(desk.session, officer, review.investor_id, reason="Forged papers.")


def renew(desk: Desk, review: KycReview) -> None:
    who, investor = themselves(desk, review), investor_of(desk, review)
    review.valid_until = investor.kyc_valid_until = now() + timedelta(days=1)
    kyc.approve(desk, kyc.recommended(desk, who, investor))


def lapse(desk: Desk, review: KycReview) -> None:
    review.valid_until = investor_of(desk, review).kyc_valid_until = now() - timedelta(seconds=1)
    lapse_early(desk, review)


def lapse_early(desk: Desk, review: KycReview) -> None:
    standing.lapse_kyc(desk.session, review.investor_id)


def revoke(desk: Desk, review: KycReview, officer: Actor = SECOND_OFFICER) -> None:
    standing.revoke_kyc(desk.session, officer, review.investor_id, reason="Lied of their income.")


WALK = Walk(
    machine="kyc_review",
    record=approved,
    scenarios=(
        Scenario(
            source="DRAFT",
            event="submit",
            prepare=draft,
            play=submit,
            denied=submit_bare,
            code="kyc_papers_missing",
        ),
        *(
            Scenario(
                source=source,
                event="withdraw",
                prepare=prepare,
                play=withdraw,
                denied=withdraw_anothers,
                code="not_the_maker",
            )
            for source, prepare in (("DRAFT", draft), ("SUBMITTED", submitted))
        ),
        Scenario(
            source="SUBMITTED",
            event="recommend",
            prepare=submitted,
            play=kyc.recommend,
            denied=lambda desk, review: kyc.recommend(desk, review, themselves(desk, review)),
            code="checker_is_maker",
        ),
        *(
            Scenario(
                source=source,
                event="return",
                prepare=prepare,
                play=give_back,
                denied=lambda desk, review: give_back(desk, review, " "),
                code="reason_missing",
            )
            for source, prepare in (("SUBMITTED", submitted), ("RECOMMENDED", recommended))
        ),
        Scenario(
            source="RECOMMENDED",
            event="approve",
            prepare=recommended,
            play=kyc.approve,
            denied=lambda desk, review: kyc.approve(desk, review, FIRST_OFFICER),
            code="checker_is_maker",
        ),
        Scenario(
            source="RECOMMENDED",
            event="reject",
            prepare=recommended,
            play=reject,
            denied=lambda desk, review: reject(desk, review, FIRST_OFFICER),
            code="checker_is_maker",
        ),
        Scenario(
            source="APPROVED",
            event="supersede",
            prepare=approved,
            play=renew,
            kept="Only the approval of its renewal fires it.",
        ),
        Scenario(
            source="APPROVED",
            event="lapse",
            prepare=approved,
            play=lapse,
            denied=lapse_early,
            code="kyc_in_force",
        ),
        Scenario(
            source="APPROVED",
            event="revoke",
            prepare=approved,
            play=revoke,
            denied=lambda desk, review: revoke(desk, review, themselves(desk, review)),
            code="checker_is_maker",
        ),
    ),
)

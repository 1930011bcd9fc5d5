"""KYC reviews in every state that a test begins with, made by the services."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING, Any

from registry.investor.models import Investor
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kyc import decision, papers
from registry.kyc import service as kyc
from registry.kyc.decision import Assessment
from registry.kyc.models import KycReview, Recommendation, Risk
from registry.kyc.policy import kyc_policy
from registry.kyc.profile import FundsSource, Profile
from registry.kyc_standing import service as standing
from registry.operation.models import Operation
from registry.party.models import Party

if TYPE_CHECKING:
    from tests.factories import Desk

FIRST_OFFICER = Actor("the-first-compliance", frozenset({Role.COMPLIANCE}))
SECOND_OFFICER = Actor("the-compliance", frozenset({Role.COMPLIANCE}))
PROFILE = Profile(
    occupation="Teacher",
    source_of_funds=FundsSource.SALARY,
    yearly_investment_paisa=500_000_00,
    investment_purpose="Saving for a house",
    tax_filer=True,
)
SOUND = Assessment(
    recommendation=Recommendation.APPROVE, risk=Risk.LOW, is_pep=False, reason="All is in order."
)


def paper() -> BytesIO:
    return BytesIO(b"%PDF-1.7\n" + secrets.token_bytes(16))


def opened(desk: Desk, who: Actor, investor: Investor, **changes: Any) -> KycReview:
    profile = replace(PROFILE, **changes)
    return kyc.open_review(desk.session, desk.vault, who, investor.id, profile)


def file_papers(
    desk: Desk, who: Actor, review: KycReview, kinds: Iterable[str] | None = None
) -> None:
    if kinds is None:
        investor = desk.session.get_one(Investor, review.investor_id)
        kinds = kyc_policy().papers[desk.session.get_one(Party, investor.party_id).kind]
    for kind in kinds:
        papers.file_paper(desk.session, desk.vault, desk.store, who, review.id, kind, paper())


def submitted(desk: Desk, who: Actor, investor: Investor, **changes: Any) -> KycReview:
    review = opened(desk, who, investor, **changes)
    file_papers(desk, who, review)
    return kyc.submit_review(desk.session, desk.vault, who, review.id)


def recommend(
    desk: Desk, review: KycReview, officer: Actor = FIRST_OFFICER, **changes: Any
) -> KycReview:
    said = replace(SOUND, **changes)
    return decision.recommend_review(desk.session, desk.vault, officer, review.id, said)


def recommended(desk: Desk, who: Actor, investor: Investor, **changes: Any) -> KycReview:
    return recommend(desk, submitted(desk, who, investor), **changes)


def approve(
    desk: Desk,
    review: KycReview,
    officer: Actor = SECOND_OFFICER,
    *,
    valid_until: datetime | None = None,
) -> Operation:
    assert review.review_sha256 is not None
    return standing.approve_kyc(
        desk.session,
        officer,
        review.investor_id,
        valid_until=valid_until,
        seen_sha256=review.review_sha256,
    )


def passed(desk: Desk, who: Actor, investor: Investor) -> Operation:
    """Take an investor with a proven wallet through the whole review; good for a year."""
    review = recommended(desk, who, investor)
    return approve(desk, review, valid_until=now() + timedelta(days=365))

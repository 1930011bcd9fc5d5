"""KYC reviews: said, submitted, recommended by one officer, decided by another, renewed."""

from __future__ import annotations

from datetime import timedelta
from io import BytesIO
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError
from sqlmodel import select

from registry.document.content import open_sealed
from registry.investor import service as investors
from registry.investor.models import Investor, KycState
from registry.kernel.actor import Role, system_subject
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.kernel.vault import SealBroken
from registry.kyc import decision, papers, repository
from registry.kyc import service as reviews
from registry.kyc.models import Recommendation, ReviewState, Risk
from registry.kyc.policy import kyc_policy
from registry.kyc.profile import pep_position_of, profile_of
from registry.kyc_standing import service as standing
from registry.operation.models import Operation, OperationDependency, OperationKind
from tests import factories as make
from tests import kyc
from tests.factories import Desk
from tests.kyc import FIRST_OFFICER, SECOND_OFFICER

pytestmark = pytest.mark.db

DAY = timedelta(days=1)


def state_of(investor: Investor) -> KycState:
    return investor.kyc_state


def test_approve__recommended_by_another__plans_identity_then_claim(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    wallet = make.proven_wallet(desk, who, investor.id, address=bytes(range(20)))
    review = kyc.recommended(desk, who, investor)

    claim = kyc.approve(desk, review)

    assert (review.maker, review.checker) == (FIRST_OFFICER.subject, SECOND_OFFICER.subject)
    assert investor.kyc_state == KycState.APPROVED
    assert investor.kyc_evidence_sha256 == review.review_sha256
    identity = desk.session.exec(
        select(Operation).where(Operation.kind == OperationKind.CREATE_IDENTITY)
    ).one()
    assert identity.params == {"wallet": f"0x{wallet.address.hex()}", "wallet_id": str(wallet.id)}
    assert claim.kind == OperationKind.ADD_CLAIM
    assert review.valid_until is not None
    assert review.review_sha256 is not None
    assert claim.params == {
        "wallet_id": str(wallet.id),
        "topic": 1,
        "expires_at": int(review.valid_until.timestamp()),
        "evidence_sha256": review.review_sha256.hex(),
    }
    [dependency] = desk.session.exec(select(OperationDependency)).all()
    assert (dependency.operation_id, dependency.requires_id) == (claim.id, identity.id)


@pytest.mark.parametrize(("risk", "days"), [("LOW", 1825), ("MEDIUM", 730), ("HIGH", 365)])
def test_approve__by_risk__is_good_as_long_as_the_policy_says(
    desk: Desk, risk: str, days: int
) -> None:
    who, investor = make.enrolled(desk)
    make.proven_wallet(desk, who, investor.id)
    said = kyc.submitted(desk, who, investor, source_of_wealth="Inherited farmland")
    review = kyc.recommend(desk, said, risk=Risk(risk))

    for offset in (timedelta(seconds=-1), timedelta(days, seconds=5)):
        with pytest.raises(Invalid, match="kyc_validity_out_of_range"):
            kyc.approve(desk, review, valid_until=now() + offset)
    kyc.approve(desk, review)

    assert review.valid_until is not None
    assert timedelta(days) - (review.valid_until - now()) < timedelta(minutes=1)


@pytest.mark.parametrize("changes", [{"risk": Risk.HIGH}, {"is_pep": True, "pep_position": "MPA"}])
def test_recommend__high_risk_or_pep__needs_a_source_of_wealth(
    desk: Desk, changes: dict[str, Any]
) -> None:
    who, investor = make.enrolled(desk)
    review = kyc.submitted(desk, who, investor)

    with pytest.raises(Conflict, match="source_of_wealth_missing"):
        kyc.recommend(desk, review, **changes)
    rejected = kyc.recommend(desk, review, recommendation=Recommendation.REJECT, **changes)

    assert rejected.state == ReviewState.RECOMMENDED


@pytest.mark.parametrize("said", [{"is_pep": True}, {"pep_position": "Minister"}])
def test_recommend__pep_without_position_or_position_without_pep__is_refused(
    desk: Desk, said: dict[str, Any]
) -> None:
    review = kyc.submitted(desk, *make.enrolled(desk))

    with pytest.raises(Invalid, match="pep_position_wrong"):
        kyc.recommend(desk, review, **said)


def test_decide__by_whoever_recommended_or_their_key__is_forbidden(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    make.proven_wallet(desk, who, investor.id)
    review = kyc.recommended(desk, who, investor)
    key = make.actor(Role.COMPLIANCE, subject=system_subject("desk", FIRST_OFFICER.subject))

    for officer in (FIRST_OFFICER, key):
        with pytest.raises(Forbidden, match="checker_is_maker"):
            kyc.approve(desk, review, officer)
        with pytest.raises(Forbidden, match="checker_is_maker"):
            decision.reject_review(desk.session, officer, investor.id, reason="Mine")


def test_judge__own_review__is_forbidden(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    officer = make.actor(Role.COMPLIANCE, Role.INVESTOR, subject=who.subject)
    review = kyc.submitted(desk, who, investor)

    with pytest.raises(Forbidden, match="checker_is_maker"):
        kyc.recommend(desk, review, officer)
    kyc.recommend(desk, review)
    with pytest.raises(Forbidden, match="checker_is_maker"):
        kyc.approve(desk, review, officer)


def test_four_eyes__by_hand_in_the_database__are_refused(desk: Desk) -> None:
    review = kyc.recommended(desk, *make.enrolled(desk))
    review.checker = review.maker

    with pytest.raises(IntegrityError, match="ck_kyc_review_four_eyes"):
        desk.session.flush()


def test_approve__no_proven_wallet__is_refused(desk: Desk) -> None:
    _, investor = make.enrolled(desk)
    review = kyc.recommended(desk, _, investor)

    with pytest.raises(Conflict, match="wallet_not_proven"):
        kyc.approve(desk, review)

    assert (investor.kyc_state, review.state) == (KycState.PENDING, ReviewState.RECOMMENDED)


def test_approve__against_the_recommendation_or_of_another_text__is_refused(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    make.proven_wallet(desk, who, investor.id)
    review = kyc.recommended(desk, who, investor, recommendation=Recommendation.REJECT)

    with pytest.raises(Conflict, match="kyc_not_recommended"):
        kyc.approve(desk, review)
    with pytest.raises(Conflict, match="kyc_review_changed"):
        standing.approve_kyc(desk.session, SECOND_OFFICER, investor.id, seen_sha256=bytes(32))


def test_reject__then_decided_again__is_refused_until_a_new_review(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    make.proven_wallet(desk, who, investor.id)
    with pytest.raises(Conflict, match="kyc_not_recommended"):
        decision.reject_review(desk.session, SECOND_OFFICER, investor.id, reason="Too early")
    kyc.recommended(desk, who, investor)
    decision.reject_review(desk.session, SECOND_OFFICER, investor.id, reason="Proscribed")
    assert state_of(investor) == KycState.REJECTED

    with pytest.raises(Conflict, match="kyc_decided"):
        decision.reject_review(desk.session, SECOND_OFFICER, investor.id, reason="Again")

    kyc.opened(desk, who, investor)
    assert state_of(investor) == KycState.PENDING


def test_profile__at_rest__is_sealed_with_its_review(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    review = kyc.submitted(desk, who, investor, source_of_wealth="A house in Multan")
    kyc.recommend(desk, review, is_pep=True, pep_position="Deputy secretary")

    assert review.sealed is not None
    assert b"Multan" not in review.sealed
    profile = profile_of(desk.vault, review)
    assert profile is not None
    assert profile.source_of_wealth == "A house in Multan"
    assert pep_position_of(desk.vault, review) == "Deputy secretary"
    other = kyc.opened(desk, *make.enrolled(desk))
    other.sealed = review.sealed
    with pytest.raises(SealBroken):
        profile_of(desk.vault, other)


def test_submit__without_the_papers_of_the_policy__is_refused(desk: Desk) -> None:
    who = make.actor(Role.ISSUER)
    company = make.company(desk)
    investor = investors.enrol_for_company(desk.session, who, company.id)
    review = kyc.opened(desk, who, investor)
    kyc.file_papers(desk, who, review, ["INCORPORATION"])

    with pytest.raises(Conflict, match="AUTHORITY"):
        reviews.submit_review(desk.session, desk.vault, who, review.id)


def test_paper__filed__is_sealed_and_read_back_by_whom_it_concerns(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    review = kyc.opened(desk, who, investor)
    content = kyc.paper()
    paper = papers.file_paper(
        desk.session, desk.vault, desk.store, who, review.id, "IDENTITY", content
    )

    _, found = papers.read_paper(desk.session, desk.vault, desk.store, FIRST_OFFICER, paper.id, {})
    assert b"".join(found) == content.getvalue()
    stranger, _ = make.enrolled(desk)
    with pytest.raises(NotFound):
        papers.read_paper(desk.session, desk.vault, desk.store, stranger, paper.id, {})
    with pytest.raises(SealBroken):
        open_sealed(desk.vault, desk.store, review.id, paper.stored_as, paper.sealed)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "document_empty"),
        (b"just words", "document_type_refused"),
        (b"%PDF-1.7 /JavaScript", "kyc_paper_dangerous"),
    ],
)
def test_paper__not_fit__is_refused(desk: Desk, content: bytes, code: str) -> None:
    who, investor = make.enrolled(desk)
    review = kyc.opened(desk, who, investor)

    with pytest.raises(Invalid, match=code):
        papers.file_paper(
            desk.session, desk.vault, desk.store, who, review.id, "IDENTITY", BytesIO(content)
        )


def test_paper__twice_or_after_submission__is_refused(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    review = kyc.opened(desk, who, investor)
    content = kyc.paper()
    at = (desk.session, desk.vault, desk.store, who, review.id)
    papers.file_paper(*at, "IDENTITY", content)
    with pytest.raises(Conflict, match="kyc_paper_filed"):
        papers.file_paper(*at, "ADDRESS", content)
    reviews.submit_review(desk.session, desk.vault, who, review.id)

    with pytest.raises(Conflict, match="kyc_review_submitted"):
        papers.file_paper(*at, "ADDRESS", kyc.paper())
    with pytest.raises(Conflict, match="kyc_review_submitted"):
        reviews.amend_profile(desk.session, desk.vault, who, review.id, kyc.PROFILE)


def test_return__recommended__voids_the_recommendation(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    review = kyc.recommended(desk, who, investor)

    decision.return_review(desk.session, SECOND_OFFICER, review.id, reason="The card is unreadable")

    assert review.state == ReviewState.DRAFT
    assert (review.maker, review.recommendation, review.review_sha256) == (None, None, None)


def test_open__a_second_or_of_another__is_refused(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    kyc.opened(desk, who, investor)
    stranger, _ = make.enrolled(desk)

    with pytest.raises(Conflict, match="kyc_review_open"):
        kyc.opened(desk, FIRST_OFFICER, investor)
    with pytest.raises(NotFound):
        kyc.opened(desk, stranger, investor)
    with pytest.raises(Invalid, match="investment_negative"):
        kyc.opened(desk, who, investor, yearly_investment_paisa=-1)


def test_renewal__before_the_window__is_too_early_and_within_it_keeps_the_standing(
    desk: Desk,
) -> None:
    buyer = make.buyer(desk)
    window = kyc_policy().renewal_window
    first = repository.find_approved(desk.session, buyer.investor.id)
    assert first is not None
    first.valid_until = buyer.investor.kyc_valid_until = now() + window + DAY
    with pytest.raises(Conflict, match="kyc_renewal_too_early"):
        kyc.opened(desk, buyer.actor, buyer.investor)
    first.valid_until = buyer.investor.kyc_valid_until = now() + window - DAY

    renewal = kyc.recommended(desk, buyer.actor, buyer.investor)
    assert renewal.renews_id == first.id
    assert investors.may_hold(buyer.investor)
    kyc.approve(desk, renewal)

    assert (first.state, renewal.state) == (ReviewState.SUPERSEDED, ReviewState.APPROVED)
    assert buyer.investor.kyc_valid_until == renewal.valid_until


def test_renewal__rejected__leaves_the_kyc_until_its_end(desk: Desk) -> None:
    buyer = make.buyer(desk)
    first = repository.find_approved(desk.session, buyer.investor.id)
    assert first is not None
    first.valid_until = buyer.investor.kyc_valid_until = now() + DAY
    kyc.recommended(desk, buyer.actor, buyer.investor)

    decision.reject_review(desk.session, SECOND_OFFICER, buyer.investor.id, reason="Stale papers")

    assert investors.may_hold(buyer.investor)
    assert first.state == ReviewState.APPROVED

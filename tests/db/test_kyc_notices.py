"""What an investor is told of their KYC between its approval and its end."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select

from registry.kernel.clock import now
from registry.kyc import decision, repository
from registry.kyc import service as reviews
from registry.kyc.models import KycReview
from registry.kyc.policy import kyc_policy
from registry.kyc_standing import service as standing
from registry.notice import service as notices
from registry.notice.models import Notice
from registry.sweep.service import CLOCKS
from tests import factories as make
from tests import kyc
from tests.factories import Buyer, Desk
from tests.kyc import SECOND_OFFICER

pytestmark = pytest.mark.db

DAY = timedelta(days=1)
(RENEWAL,) = (clock for clock in CLOCKS if clock.name == "kyc_renewal")


def told(desk: Desk, subject: str) -> list[str]:
    query = select(Notice.kind).where(
        col(Notice.principal) == subject, col(Notice.kind).like("kyc.%")
    )
    return list(desk.session.exec(query.order_by(col(Notice.id))))


def facts_of(desk: Desk, kind: str) -> dict[str, Any]:
    notice = desk.session.exec(select(Notice).where(col(Notice.kind) == kind)).one()
    assert notices.message_of(kind) != notices.message_of("no.such.kind")
    return {**notice.facts, "subject": (notice.subject_kind, notice.subject_id)}


def ending(desk: Desk, buyer: Buyer, left: timedelta) -> KycReview:
    """Let so much be left of somebody's KYC."""
    review = repository.find_approved(desk.session, buyer.investor.id)
    assert review is not None
    review.valid_until = buyer.investor.kyc_valid_until = now() + left
    desk.session.flush()
    return review


def ring(desk: Desk) -> None:
    for review_id in RENEWAL.due(desk.session):
        RENEWAL.ring(desk.session, review_id)


def test_notices__review_given_back__tell_whose_it_is(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    submitted = kyc.submitted(desk, who, investor)
    assert told(desk, who.subject) == []

    decision.return_review(desk.session, SECOND_OFFICER, submitted.id, reason="Unreadable card")

    assert told(desk, who.subject) == ["kyc.returned"]
    facts = facts_of(desk, "kyc.returned")
    assert (facts["state"], facts["subject"]) == ("PENDING", ("kyc_review", submitted.id))
    reviews.withdraw_review(desk.session, who, submitted.id)
    assert told(desk, who.subject) == ["kyc.returned"]


def test_notices__first_review_rejected__tell_the_state_alone(desk: Desk) -> None:
    who, investor = make.enrolled(desk)
    kyc.recommended(desk, who, investor)

    decision.reject_review(desk.session, SECOND_OFFICER, investor.id, reason="Forged card")

    assert told(desk, who.subject) == ["kyc.rejected"]


def test_notices__renewal_rejected__tell_it_and_until_when_the_old_one_stands(desk: Desk) -> None:
    buyer = make.buyer(desk)
    ending(desk, buyer, DAY)
    renewal = kyc.recommended(desk, buyer.actor, buyer.investor)

    decision.reject_review(desk.session, SECOND_OFFICER, buyer.investor.id, reason="Stale papers")

    assert told(desk, buyer.actor.subject) == ["kyc.approved", "kyc.renewal_rejected"]
    facts = facts_of(desk, "kyc.renewal_rejected")
    assert (facts["state"], facts["subject"]) == ("APPROVED", ("kyc_review", renewal.id))
    assert facts["valid_until"] is not None


def test_notices__renewal_approved_in_time__tell_it(desk: Desk) -> None:
    buyer = make.buyer(desk)
    ending(desk, buyer, DAY)

    kyc.passed(desk, buyer.actor, buyer.investor)

    assert told(desk, buyer.actor.subject) == ["kyc.approved", "kyc.renewed"]


def test_notices__renewal_after_the_end__tell_the_state_alone(desk: Desk) -> None:
    buyer = make.buyer(desk)
    ending(desk, buyer, -DAY)
    standing.lapse_kyc(desk.session, buyer.investor.id)

    kyc.recommended(desk, buyer.actor, buyer.investor)
    decision.reject_review(desk.session, SECOND_OFFICER, buyer.investor.id, reason="Stale papers")
    kyc.passed(desk, buyer.actor, buyer.investor)

    assert told(desk, buyer.actor.subject) == [
        "kyc.approved",
        "kyc.lapsed",
        "kyc.renewal_rejected",
        "kyc.approved",
    ]


def test_clock__window_of_renewal_opens__tells_once_for_each_review(desk: Desk) -> None:
    buyer = make.buyer(desk)
    window = kyc_policy().renewal_window
    ending(desk, buyer, window + DAY)
    ring(desk)
    assert told(desk, buyer.actor.subject) == ["kyc.approved"]

    review = ending(desk, buyer, window - DAY)
    (due,) = RENEWAL.due(desk.session)
    for _ in range(2):
        RENEWAL.ring(desk.session, due)  # two workers, of which the second comes late
    ring(desk)

    assert told(desk, buyer.actor.subject) == ["kyc.approved", "kyc.renewal_due"]
    facts = facts_of(desk, "kyc.renewal_due")
    assert facts["subject"] == ("kyc_review", review.id)
    assert review.valid_until is not None
    assert facts["valid_until"] == review.valid_until.isoformat()

    kyc.passed(desk, buyer.actor, buyer.investor)
    ending(desk, buyer, DAY)
    ring(desk)
    assert told(desk, buyer.actor.subject)[2:] == ["kyc.renewed", "kyc.renewal_due"]


def test_clock__renewal_has_begun_or_the_kyc_has_ended__tells_nothing(desk: Desk) -> None:
    begun, ended = make.buyer(desk), make.buyer(desk)
    ending(desk, begun, DAY)
    kyc.opened(desk, begun.actor, begun.investor)
    ending(desk, ended, -DAY)

    assert RENEWAL.due(desk.session) == []

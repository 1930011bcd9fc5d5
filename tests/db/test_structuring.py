"""Payments below the limit that reach it together: which windows are told, and what grows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from sqlmodel import col, select

from registry.alert import rounds
from registry.alert import service as alerts
from registry.alert.models import Alert, AlertRule
from registry.kernel.clock import today
from registry.offering.models import Offering
from registry.payment.rails import BANK, Receipt
from registry.payment.receiving import book_receipt
from registry.policy.models import PolicyName
from tests import factories as make
from tests import intakes, sales
from tests.factories import Buyer, Desk
from tests.kyc import FIRST_OFFICER

pytestmark = pytest.mark.db

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
WHY = "Sold a house; the deed is on file."


def raised(desk: Desk) -> list[Alert]:
    query = select(Alert).where(col(Alert.rule) == AlertRule.STRUCTURING).order_by(col(Alert.id))
    return list(desk.session.exec(query).all())


def sale_to(desk: Desk) -> tuple[Offering, Buyer]:
    sale = sales.offering(desk, sales.wrapped_apartment(desk))
    return sale, make.buyer(desk)


CTR = 200_000_000


def test_structuring__payments_below_the_limit_that_reach_it__are_one_alert(desk: Desk) -> None:
    sale, who = sale_to(desk)
    order = sales.order(desk, sale, who, 500)
    intakes.paid(desk, order, CTR // 2, ago=40 * HOUR)
    intakes.paid(desk, order, CTR // 2, ago=10 * HOUR)
    assert rounds.look_at_payments(desk.session) == 0

    intakes.paid(desk, order, CTR // 2, ago=9 * HOUR)
    assert rounds.look_at_payments(desk.session) == 1
    (alert,) = raised(desk)
    assert alert.party_id == who.investor.party_id
    assert alert.evidence["total_paisa"] == str(CTR)
    assert rounds.look_at_payments(desk.session) == 0

    intakes.paid(desk, order, 100, ago=1 * HOUR)
    assert rounds.look_at_payments(desk.session) == 0
    assert len(alert.evidence["payments"]) == 3, "what comes into its window is added to it"


def test_structuring__after_it_was_looked_at__another_payment_is_another_alert(desk: Desk) -> None:
    sale, who = sale_to(desk)
    order = sales.order(desk, sale, who, 500)
    for hours in (5, 4):
        intakes.paid(desk, order, CTR // 2, ago=hours * HOUR)
    rounds.look_at_payments(desk.session)
    (alert,) = raised(desk)
    alerts.review_alert(desk.session, FIRST_OFFICER, alert.id, reason=WHY)
    told = alert.evidence

    intakes.paid(desk, order, 100, ago=1 * HOUR)
    assert rounds.look_at_payments(desk.session) == 1
    assert alert.evidence == told


def test_structuring__one_payment_or_one_that_is_reported_itself__is_nothing(desk: Desk) -> None:
    sale, who = sale_to(desk)
    order = sales.order(desk, sale, who, 500)
    intakes.paid(desk, order, CTR, ago=3 * HOUR)
    intakes.paid(desk, order, CTR - 1, ago=2 * HOUR)

    assert rounds.look_at_payments(desk.session) == 0


def test_structuring__rupees_on_chain__do_not_count(desk: Desk) -> None:
    sale, who = sale_to(desk)
    order = sales.order(desk, sale, who, 500)
    intakes.paid(desk, order, CTR - 1, ago=3 * HOUR)
    intakes.paid_on_chain(desk, order, CTR - 1, ago=2 * HOUR)
    assert rounds.look_at_payments(desk.session) == 0

    intakes.paid(desk, order, 1, ago=1 * HOUR)
    assert rounds.look_at_payments(desk.session) == 1


def test_structuring__later_half_of_a_window_with_what_comes_next__is_another_alert(
    desk: Desk,
) -> None:
    sale, who = sale_to(desk)
    order = sales.order(desk, sale, who, 500)
    for hours, million in ((40, 1.2), (20, 1.2), (10, 1.9), (9, 0.01)):
        intakes.paid(desk, order, int(million * 100_000_000), ago=hours * HOUR)

    assert rounds.look_at_payments(desk.session) == 2

    found = raised(desk)
    assert [alert.evidence["total_paisa"] for alert in found] == ["240000000", "311000000"]
    assert rounds.look_at_payments(desk.session) == 0


def test_structuring__limit_of_the_day__says_nothing_of_earlier_payments(desk: Desk) -> None:
    sale, who = sale_to(desk)
    order = sales.order(desk, sale, who, 500)
    intakes.threshold(desk, PolicyName.CTR, Fraction(CTR // 2), today() - DAY)
    for hours in (99, 98):
        intakes.paid(desk, order, CTR // 3, ago=hours * HOUR)
    assert rounds.look_at_payments(desk.session) == 0

    for _ in range(2):
        intakes.paid(desk, order, CTR // 3, ago=HOUR / 100)

    assert rounds.look_at_payments(desk.session) == 1
    [alert] = raised(desk)
    assert alert.evidence["limit_paisa"] == str(CTR // 2)


def test_structuring__dated_at_the_end_of_the_calendar__stops_no_rule(desk: Desk) -> None:
    sale, who = sale_to(desk)
    order = sales.order(desk, sale, who, 500)
    for minute in (58, 59):
        when = datetime(9999, 12, 31, 23, minute, tzinfo=UTC)
        book_receipt(desk.session, BANK, Receipt(f"L-{minute}", order.reference, CTR // 2, when))

    assert rounds.look_at_payments(desk.session) == 1


def test_structuring__of_two_parties__is_not_added_up(desk: Desk) -> None:
    sale, who = sale_to(desk)
    for buyer in (who, make.buyer(desk)):
        intakes.paid(desk, sales.order(desk, sale, buyer, 100), CTR // 2, ago=2 * HOUR)

    assert rounds.look_at_payments(desk.session) == 0

"""Notices: who is told of what, in one order, and what the chain did once it is final."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import pytest
from sqlmodel import Session, col, select

from registry.investor.models import KycState, WalletState
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Invalid
from registry.notice import service as notices
from registry.notice.models import Notice
from registry.offering import leaving
from registry.offering.models import Offering, OfferingState, OrderState
from registry.offering.unwinding import record_refund
from registry.payment import allocating
from registry.payment.rails import BANK, Receipt
from registry.payment.receiving import book_receipt
from registry.redemption.models import PayoutState
from tests import factories as make
from tests import sales
from tests.db.stage import Stage, StageMaker
from tests.factories import Buyer, Desk
from tests.redemptions import TREASURY

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Market:
    sale: Offering
    issuer: str
    buyer: Buyer


def open_market(desk: Desk) -> Market:
    wrapped = sales.wrapped_apartment(desk)
    sale = sales.offering(desk, wrapped, offered_units=100)
    return Market(sale, wrapped.issuer.actor.subject, make.buyer(desk))


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Market]]:
    with make_stage(open_market) as stage:
        yield stage


@pytest.fixture(scope="module")
def database(stage: Stage[Market]) -> Database:
    return stage.database


@pytest.fixture
def market(stage: Stage[Market], session: Session) -> Market:
    return stage.on(session)


def told(session: Session, principal: str, *, after: int) -> list[str]:
    rows = notices.list_notices(session, principal, after=after, limit=100)
    return [row.kind for row in rows]


def publish_all(session: Session) -> int:
    while notices.publish(session):
        pass
    return notices.newest(session)


def test_notices__of_an_order_paid_in_parts__tell_buyer_and_issuer(
    desk: Desk, market: Market
) -> None:
    session, buyer = desk.session, market.buyer
    start = publish_all(session)
    order = sales.order(desk, market.sale, buyer, units=4)
    sales.pay(desk, order, 1)
    sales.pay(desk, order, order.amount_paisa - 1)
    publish_all(session)

    assert sorted(told(session, buyer.actor.subject, after=start)) == [
        "order.awaiting_payment",
        "order.paid",
        "payment.received",
        "payment.received",
    ]
    assert told(session, market.issuer, after=start) == ["offering.order_paid"]
    paid = session.exec(select(Notice).where(col(Notice.kind) == "payment.received")).all()
    assert sorted(int(row.facts["amount_paisa"]) for row in paid) == [1, order.amount_paisa - 1]


def test_notices__of_too_much_and_too_late__tell_what_is_to_go_back(
    desk: Desk, market: Market
) -> None:
    session, buyer = desk.session, market.buyer
    order = sales.order(desk, market.sale, buyer, units=4)
    start = publish_all(session)
    sales.pay(desk, order, order.amount_paisa + 7)
    sales.pay(desk, order, 5)
    publish_all(session)

    rows = notices.list_notices(session, buyer.actor.subject, after=start, limit=100)
    due = [row.facts["amount_paisa"] for row in rows if row.kind == "payment.refund_due"]
    assert due == ["7", "5"]


def test_notices__of_a_cancelled_order__tell_of_the_refund(desk: Desk, market: Market) -> None:
    session, buyer = desk.session, market.buyer
    order = sales.order(desk, market.sale, buyer, units=4)
    sales.pay(desk, order, 5)
    start = publish_all(session)
    leaving.cancel_order(session, buyer.actor, order.id)
    record_refund(session, TREASURY, order.id, rail_reference="back-1")
    publish_all(session)

    assert sorted(told(session, buyer.actor.subject, after=start)) == [
        "order.refund_due",
        "order.refunded",
        "payment.refunded",
    ]


@pytest.mark.parametrize("assigned", [False, True])
def test_notices__of_money_for_an_order_that_has_ended__tell_of_it_once(
    desk: Desk, market: Market, assigned: bool
) -> None:
    session, buyer = desk.session, market.buyer
    order = sales.order(desk, market.sale, buyer, units=4)
    leaving.cancel_order(session, buyer.actor, order.id)
    start = publish_all(session)
    if assigned:
        mistyped = order.reference[:5] + "10"[order.reference[5] != "0"] + order.reference[6:]
        payment = book_receipt(session, BANK, Receipt("late-1", mistyped, 5, now()))
        allocating.assign_payment(session, TREASURY, payment.id, order.id)
    else:
        sales.pay(desk, order, 5)
    publish_all(session)

    assert sorted(told(session, buyer.actor.subject, after=start)) == [
        "order.refund_due",
        "payment.received",
    ]


def test_notices__of_a_new_investor__tell_of_wallet_and_kyc(desk: Desk) -> None:
    buyer = make.buyer(desk)
    publish_all(desk.session)

    kinds = told(desk.session, buyer.actor.subject, after=0)
    assert {"wallet.proven", "wallet.identified", "kyc.approved"} <= set(kinds)


def test_notices__of_others__are_not_told(desk: Desk, market: Market) -> None:
    other = make.buyer(desk)
    start = publish_all(desk.session)
    sales.order(desk, market.sale, market.buyer, units=1)
    publish_all(desk.session)

    assert told(desk.session, other.actor.subject, after=start) == []


def test_notices__of_a_transaction_that_is_taken_back__are_none(
    stage: Stage[Market], database: Database
) -> None:
    with Session(database.engine) as session, session.begin() as work:
        market = stage.on(session)
        notices.tell(session, market.issuer, "webhook.test", ("offering", market.sale.id))
        session.flush()
        work.rollback()
    with database.reading() as session:
        query = select(Notice).where(col(Notice.kind) == "webhook.test")
        assert session.exec(query).all() == []


def test_publish__two_at_once__only_one_gives_places(database: Database) -> None:
    with Session(database.engine) as first, first.begin():
        while notices.publish(first):
            pass
        with Session(database.engine) as second, second.begin():
            assert notices.publish(second) == []
        first.rollback()


def test_publish__what_commits_late__has_a_later_place(
    stage: Stage[Market], database: Database
) -> None:
    """A reader that has read up to a place misses nothing of who committed after it."""
    issuer, sale_id = stage.scene.issuer, stage.scene.sale.id
    with Session(database.engine) as late, late.begin():
        notices.tell(late, issuer, "webhook.test", ("offering", sale_id), who="late")
        late.flush()
        with database.transaction() as early:
            notices.tell(early, issuer, "webhook.test", ("offering", sale_id), who="early")
        with database.transaction() as publisher:
            place = publish_all(publisher)
    with database.transaction() as publisher:
        publish_all(publisher)
        rows = notices.list_notices(publisher, issuer, after=place, limit=10)

    assert [row.facts["who"] for row in rows] == ["late"]


@pytest.mark.parametrize("written", ["", "-1", "1.5", "one", "9" * 30, "\u0661"])
def test_read_place__no_id_of_ours__is_refused(session: Session, written: str) -> None:
    with pytest.raises(Invalid, match="event_id_malformed"):
        notices.read_place(session, written)


def test_read_place__of_what_has_not_happened__is_refused(session: Session) -> None:
    with pytest.raises(Invalid, match="event_id_unknown"):
        notices.read_place(session, str(notices.newest(session) + 1))


STATES: dict[str, type[StrEnum]] = {
    "order": OrderState,
    "kyc": KycState,
    "wallet": WalletState,
    "payout": PayoutState,
    "offering": OfferingState,
}
"""What the triggers name a notice after."""


def test_known_kinds__every_state_that_a_trigger_tells_of__is_among_them() -> None:
    told_of = {f"{name}.{state.lower()}" for name, states in STATES.items() for state in states}

    assert told_of <= notices.known_kinds()

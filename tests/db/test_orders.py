"""Reserving, paying for and giving back the fractions of an offering."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlmodel import Session, select

from registry.investor.models import KycState
from registry.journal.models import JournalEntry
from registry.kernel.actor import THE_SYSTEM, Role
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.offering import buying, leaving, limits, orders
from registry.offering.models import Offering, OfferingState, OrderState
from tests import factories as make
from tests import sales
from tests.db.stage import Stage, StageMaker
from tests.factories import COMPLIANCE, Buyer, Desk

pytestmark = pytest.mark.db


@dataclass(frozen=True)
class Market:
    sale: Offering
    buyer: Buyer


def open_market(desk: Desk) -> Market:
    wrapped = sales.wrapped_apartment(desk)
    sale = sales.offering(desk, wrapped, offered_units=100, min_ticket_units=5)
    return Market(sale, make.buyer(desk))


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


@pytest.fixture
def sale(market: Market) -> Offering:
    return market.sale


@pytest.fixture
def buyer(market: Market) -> Buyer:
    return market.buyer


# Ordering


def test_order__within_the_offer__reserves_it(desk: Desk, sale: Offering, buyer: Buyer) -> None:
    order = sales.order(desk, sale, buyer, units=7)

    assert order.state == OrderState.AWAITING_PAYMENT
    assert order.amount_paisa == 7 * sale.price_paisa
    assert sale.reserved_units == 7
    assert order.reference.startswith("MLK")


def test_order__all_that_is_left__is_sold_and_no_more(
    desk: Desk, sale: Offering, buyer: Buyer
) -> None:
    sales.order(desk, sale, buyer, units=60)

    with pytest.raises(Conflict) as refusal:
        sales.order(desk, sale, buyer, units=41)
    assert refusal.value.code == "order_exceeds_offer"
    assert refusal.value.remedy is not None
    assert refusal.value.remedy.startswith("Order at most 40. You may wait")

    sales.order(desk, sale, buyer, units=40)
    with pytest.raises(Conflict, match="order_exceeds_offer"):
        sales.order(desk, sale, buyer, units=5)
    assert sale.reserved_units == 100


@pytest.mark.parametrize("units", [4, 0, -7])
def test_order__below_the_ticket__is_refused(
    desk: Desk, sale: Offering, buyer: Buyer, units: int
) -> None:
    with pytest.raises(Invalid, match="order_below_ticket"):
        sales.order(desk, sale, buyer, units=units)

    assert sale.reserved_units == 0


def test_order__offering_closed__is_refused(desk: Desk, sale: Offering, buyer: Buyer) -> None:
    sale.state = OfferingState.CLOSED
    desk.session.flush()

    with pytest.raises(Conflict, match="offering_closed"):
        sales.order(desk, sale, buyer)


def test_order__never_enrolled__is_forbidden(desk: Desk, sale: Offering, buyer: Buyer) -> None:
    stranger = Buyer(make.actor(Role.INVESTOR), buyer.investor, buyer.wallet)

    with pytest.raises(Forbidden, match="kyc_not_passed"):
        sales.order(desk, sale, stranger)


@pytest.mark.parametrize("state", [KycState.PENDING, KycState.REJECTED])
def test_order__kyc_not_passed__is_forbidden(
    desk: Desk, sale: Offering, buyer: Buyer, state: KycState
) -> None:
    buyer.investor.kyc_state = state
    desk.session.flush()

    with pytest.raises(Forbidden, match="kyc_not_passed"):
        sales.order(desk, sale, buyer)


def test_order__kyc_ran_out__is_forbidden(desk: Desk, sale: Offering, buyer: Buyer) -> None:
    buyer.investor.kyc_valid_until = now() - timedelta(seconds=1)
    desk.session.flush()

    with pytest.raises(Forbidden, match="kyc_not_passed"):
        sales.order(desk, sale, buyer)


def test_order__to_the_wallet_of_another__is_refused(
    desk: Desk, sale: Offering, buyer: Buyer
) -> None:
    thief = Buyer(buyer.actor, buyer.investor, make.buyer(desk).wallet)

    with pytest.raises(Conflict, match="wallet_not_proven"):
        sales.order(desk, sale, thief)


def test_order__to_an_unknown_address__is_refused(desk: Desk, sale: Offering, buyer: Buyer) -> None:
    with pytest.raises(Conflict, match="wallet_not_proven"):
        buying.place_order(
            desk.session, buyer.actor, sale.id, units=5, wallet_address=secrets.token_bytes(20)
        )


def test_order__wallet_without_identity__is_refused(
    desk: Desk, sale: Offering, buyer: Buyer
) -> None:
    buyer.wallet.identity = None
    desk.session.flush()

    with pytest.raises(Conflict, match="wallet_not_proven"):
        sales.order(desk, sale, buyer)


def test_order__unknown_offering__is_not_found(desk: Desk, buyer: Buyer) -> None:
    with pytest.raises(NotFound, match="offering"):
        buying.place_order(
            desk.session,
            buyer.actor,
            buyer.investor.id,
            units=5,
            wallet_address=buyer.wallet.address,
        )


# Cancelling


def test_cancel__unpaid__gives_the_fractions_back(desk: Desk, sale: Offering, buyer: Buyer) -> None:
    order = sales.order(desk, sale, buyer, units=100)

    leaving.cancel_order(desk.session, buyer.actor, order.id)

    assert (order.state, sale.reserved_units) == (OrderState.CANCELLED, 0)
    assert sales.order(desk, sale, buyer, units=100).units == 100


def test_cancel__twice__gives_back_once(desk: Desk, sale: Offering, buyer: Buyer) -> None:
    sales.order(desk, sale, buyer, units=10)
    order = sales.order(desk, sale, buyer, units=10)
    leaving.cancel_order(desk.session, buyer.actor, order.id)

    with pytest.raises(Conflict, match="order_not_cancellable"):
        leaving.cancel_order(desk.session, buyer.actor, order.id)

    assert sale.reserved_units == 10


def test_cancel__paid__is_refused(desk: Desk, sale: Offering, buyer: Buyer) -> None:
    order = sales.pay(desk, sales.order(desk, sale, buyer, units=10))

    with pytest.raises(Conflict, match="order_not_cancellable"):
        leaving.cancel_order(desk.session, buyer.actor, order.id)

    assert sale.reserved_units == 10


def test_cancel__order_of_another__is_not_found(desk: Desk, sale: Offering, buyer: Buyer) -> None:
    order = sales.order(desk, sale, buyer, units=10)

    with pytest.raises(NotFound, match="order"):
        leaving.cancel_order(desk.session, make.buyer(desk).actor, order.id)
    with pytest.raises(NotFound, match="order"):
        leaving.cancel_order(desk.session, make.actor(Role.INVESTOR), order.id)

    assert sale.reserved_units == 10


def test_list_orders__of_one_investor__shows_only_theirs(
    desk: Desk, sale: Offering, buyer: Buyer
) -> None:
    other = make.buyer(desk)
    mine = [sales.order(desk, sale, buyer), sales.order(desk, sale, buyer)]
    theirs = sales.order(desk, sale, other)

    assert orders.list_orders(desk.session, investor_id=buyer.investor.id) == mine
    assert orders.list_orders(desk.session, offering_id=sale.id) == [*mine, theirs]
    assert orders.list_orders(desk.session, offering_id=sale.id, after=mine[0].id, limit=1) == [
        mine[1]
    ]


def test_annul__unpaid__frees_the_fractions_and_says_why(
    desk: Desk, sale: Offering, buyer: Buyer
) -> None:
    order = sales.order(desk, sale, buyer, units=100)
    sales.pay(desk, order, 500)

    leaving.annul_order(desk.session, COMPLIANCE, order.id, reason="Holds the sale")

    assert (order.state, sale.reserved_units) == (OrderState.REFUND_DUE, 0)
    annulled = select(JournalEntry).where(JournalEntry.act == "order_annulled")
    entry = desk.session.exec(annulled).one()
    assert (entry.subject_id, entry.facts) == (str(order.id), {"reason": "Holds the sale"})


def test_annul__paid_or_without_a_reason__is_refused(
    desk: Desk, sale: Offering, buyer: Buyer
) -> None:
    order = sales.order(desk, sale, buyer, units=5)
    with pytest.raises(Invalid, match="reason_missing"):
        leaving.annul_order(desk.session, COMPLIANCE, order.id, reason=" ")
    sales.pay(desk, order)
    with pytest.raises(Conflict, match="order_not_cancellable"):
        leaving.annul_order(desk.session, COMPLIANCE, order.id, reason="Holds the sale")


def test_order__after_three_that_came_to_nothing__is_refused(
    desk: Desk, sale: Offering, buyer: Buyer
) -> None:
    for _ in range(limits.MOST_ENDED):
        held = sales.order(desk, sale, buyer, units=sale.offered_units)
        held.pay_until = now()
        desk.session.flush()
        leaving.lapse_order(desk.session, held.id)

    with pytest.raises(Conflict, match="orders_came_to_nothing"):
        sales.order(desk, sale, buyer)
    assert sales.order(desk, sale, make.buyer(desk)).units


@pytest.mark.parametrize("signed", [False, True])
def test_order__after_three_trades_that_lapsed__is_refused_if_the_seller_had_signed(
    desk: Desk, buyer: Buyer, signed: bool
) -> None:
    lapsed = sales.on_chain(desk, buyer, signed=signed)
    sale = orders.get_offering(desk.session, lapsed.offering_id)
    for _ in range(limits.MOST_ENDED):
        lapsed = sales.order(desk, sale, buyer)
        if signed:
            lapsed.trade_digest = secrets.token_bytes(32)
            lapsed.seller_signature = secrets.token_bytes(65)
        orders.release_orders(desk.session, THE_SYSTEM, sale, [lapsed], act="order_lapsed")

    if signed:
        with pytest.raises(Conflict, match="orders_came_to_nothing"):
            sales.order(desk, sale, buyer)
    else:
        assert sales.order(desk, sale, buyer).units


@pytest.mark.parametrize(
    "act",
    [
        "order_not_mintable",
        "order_not_allotted",
        "order_given_back",
        "order_cancelled",
        "order_annulled",
    ],
)
def test_order__after_three_that_others_ended__is_taken(
    desk: Desk, sale: Offering, buyer: Buyer, act: str
) -> None:
    for _ in range(limits.MOST_ENDED):
        ended = sales.order(desk, sale, buyer)
        orders.release_orders(desk.session, COMPLIANCE, sale, [ended], act=act)

    assert sales.order(desk, sale, buyer).units
    for _ in range(limits.MOST_ENDED):
        own = sales.order(desk, sale, buyer)
        leaving.cancel_order(desk.session, buyer.actor, own.id)
    with pytest.raises(Conflict, match="orders_came_to_nothing"):
        sales.order(desk, sale, buyer)

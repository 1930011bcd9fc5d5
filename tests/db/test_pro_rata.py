"""A sale that allots at its close: who gets what, and what goes back to whom."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from registry.journal.models import JournalEntry
from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.ledger import service as ledger
from registry.ledger.models import Account
from registry.notice.models import Notice
from registry.offering import ending, minting, orders, unwinding
from registry.offering import service as offerings
from registry.offering.models import Allotment, Offering, OfferingState, Order, OrderState
from registry.offering.money import fault_of, standing_of
from registry.operation.models import Operation, OperationState
from registry.payment.rails import BANK, Reversal
from registry.payment.reversing import reverse_receipt
from registry.tokenization import service as tokenizations
from registry.tokenization.models import TokenizationState
from tests import factories as make
from tests import sales
from tests.db.stage import Stage, StageMaker
from tests.factories import ACTORS, COMPLIANCE, Desk

pytestmark = pytest.mark.db

OFFERED = 100


def open_market(desk: Desk) -> Offering:
    return sales.offering(
        desk,
        sales.wrapped_apartment(desk),
        offered_units=OFFERED,
        minimum_units=50,
        min_ticket_units=4,
        allotment=Allotment.PRO_RATA,
    )


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Offering]]:
    with make_stage(open_market) as stage:
        yield stage


@pytest.fixture(scope="module")
def database(stage: Stage[Offering]) -> Database:
    return stage.database


@pytest.fixture
def sale(stage: Stage[Offering], session: Session) -> Offering:
    return stage.on(session)


def subscribe(desk: Desk, sale: Offering, *units: int) -> list[Order]:
    return [sales.pay(desk, sales.order(desk, sale, make.buyer(desk), each)) for each in units]


def close(desk: Desk, sale: Offering) -> list[Operation]:
    return offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)


def minted(planned: list[Operation]) -> dict[str, int]:
    return {mint.key: int(mint.params["units"]) for mint in planned}


def test_close__oversubscribed__allots_exactly_and_refunds_to_the_paisa(
    desk: Desk, sale: Offering
) -> None:
    book = subscribe(desk, sale, 90, 50, 10)
    unpaid = sales.order(desk, sale, make.buyer(desk), units=100)
    paid = [order.amount_paisa for order in book]
    assert sale.reserved_units == 250

    planned = close(desk, sale)

    # of 100: 60, 33 1/3 and 6 2/3
    assert [order.units for order in book] == [60, 33, 7]
    assert [order.allotted_units for order in book] == [60, 33, 7]
    assert [order.subscribed_units for order in book] == [90, 50, 10]
    assert minted(planned)[f"mint:order:{book[1].id}"] == 33
    assert sum(minted(planned).values()) == sales.FRACTIONS
    assert (sale.reserved_units, unpaid.state) == (OFFERED, OrderState.CANCELLED)
    for order, came in zip(book, paid, strict=True):
        standing = standing_of(desk.session, order.id)
        assert fault_of(order, standing) is None
        assert standing.held == order.units * sale.price_paisa == order.amount_paisa
        assert standing.held + standing.due == came
    [entry] = desk.session.exec(
        select(JournalEntry).where(JournalEntry.act == "offering_allotted")
    ).all()
    assert entry.facts["subscribed_units"] == "150"
    for order, came in zip(book, paid, strict=True):
        about = select(Notice).where(Notice.subject_id == order.id).order_by(col(Notice.id))
        told = {notice.kind: notice.facts for notice in desk.session.exec(about)}
        back = told["payment.refund_due"]["amount_paisa"]
        assert back == str(came - order.amount_paisa)
        minting_facts = told["order.minting"]
        units = [minting_facts[name] for name in ("units", "subscribed_units", "allotted_units")]
        assert units == [str(order.units), str(order.subscribed_units), str(order.units)]


def test_refund__of_the_difference__leaves_what_was_allotted(desk: Desk, sale: Offering) -> None:
    book = subscribe(desk, sale, 100, 100)
    close(desk, sale)
    bank = ledger.balance_of(desk.session, Account.BANK)

    for order in book:
        unwinding.record_refund(
            desk.session, ACTORS[Role.TREASURY], order.id, rail_reference=secrets.token_hex(8)
        )
    minting.settle_orders(desk.session, [order.id for order in book])

    price = sale.price_paisa
    assert ledger.balance_of(desk.session, Account.BANK) == bank - 100 * price
    assert ledger.balance_of(desk.session, Account.SALE_PROCEEDS, sale.id) == -100 * price
    for order in book:
        desk.session.refresh(order)
        assert order.state == OrderState.SETTLED
        assert fault_of(order, standing_of(desk.session, order.id)) is None


def test_close__not_oversubscribed__everybody_gets_all(desk: Desk, sale: Offering) -> None:
    book = subscribe(desk, sale, 60, 40)

    close(desk, sale)

    assert [order.allotted_units for order in book] == [60, 40]
    assert {standing_of(desk.session, order.id).due for order in book} == {0}


def test_close__part_below_the_ticket__gets_nothing_and_all_money_back(
    desk: Desk, sale: Offering
) -> None:
    book = subscribe(desk, sale, 90, 90, 5)

    planned = close(desk, sale)

    assert [order.allotted_units for order in book] == [50, 50, 0]
    small = book[2]
    standing = standing_of(desk.session, small.id)
    assert (small.state, standing.due) == (OrderState.REFUND_DUE, 5 * sale.price_paisa)
    assert fault_of(small, standing) is None
    assert f"mint:order:{small.id}" not in minted(planned)
    assert sale.reserved_units == OFFERED


def test_close__below_the_minimum__is_refused_and_nothing_is_cut(
    desk: Desk, sale: Offering
) -> None:
    [order] = subscribe(desk, sale, 49)

    with pytest.raises(Conflict, match="offering_below_minimum"), desk.session.begin_nested():
        close(desk, sale)

    desk.session.refresh(order)
    assert (order.allotted_units, order.state) == (None, OrderState.PAID)


def test_unwind__oversubscribed_orders_that_nobody_paid__end(desk: Desk, sale: Offering) -> None:
    [paid] = subscribe(desk, sale, 40)
    unpaid = [sales.order(desk, sale, make.buyer(desk), 100) for _ in range(2)]

    unwinding.unwind_offering(
        desk.session, COMPLIANCE, sale.tokenization_id, reason="Too few have paid"
    )

    assert paid.state == OrderState.REFUND_DUE
    assert {order.state for order in unpaid} == {OrderState.CANCELLED}


@pytest.fixture
def cut_below(desk: Desk, sale: Offering) -> list[Order]:
    """A book that reaches the minimum, and whose cut misses it; today's terms rule that out."""
    sale.minimum_units = OFFERED
    book = subscribe(desk, sale, 98, 4)  # the second one's part is less than the ticket
    with pytest.raises(Conflict, match="offering_below_minimum"), desk.session.begin_nested():
        close(desk, sale)
    return book


def test_unwind__cut_leaves_less_than_the_minimum__gives_everything_back(
    desk: Desk, sale: Offering, cut_below: list[Order]
) -> None:
    unwinding.unwind_offering(desk.session, COMPLIANCE, sale.tokenization_id, reason="Cannot close")

    assert {order.state for order in cut_below} == {OrderState.REFUND_DUE}
    due = [standing_of(desk.session, order.id).due for order in cut_below]
    assert due == [98 * sale.price_paisa, 4 * sale.price_paisa]


def test_end__cut_leaves_less_than_the_minimum__gives_the_sale_up(
    desk: Desk, sale: Offering, cut_below: list[Order]
) -> None:
    sale.closes_at = now()
    desk.session.flush()

    ending.end_offering(desk.session, sale.id)

    assert sale.state == OfferingState.FAILED
    assert {order.state for order in cut_below} == {OrderState.REFUND_DUE}


def test_unwind__cut_reaches_the_minimum__is_refused(desk: Desk, sale: Offering) -> None:
    subscribe(desk, sale, 98, 4)

    with pytest.raises(Conflict, match="minimum_reached"):
        unwinding.unwind_offering(desk.session, COMPLIANCE, sale.tokenization_id, reason="No")


def test_reverse__after_the_allotment__takes_the_difference_first(
    desk: Desk, sale: Offering
) -> None:
    [first, _] = subscribe(desk, sale, 100, 100)
    close(desk, sale)
    payment = sales.pay_in(desk.session, first, 1, reference="ONE-PAISA")

    reverse_receipt(
        desk.session,
        BANK,
        Reversal("REV", payment.rail_reference, 1, payment.received_at),
    )

    standing = standing_of(desk.session, first.id)
    assert (standing.due, standing.owed) == (50 * sale.price_paisa, 0)


def test_reopen__nothing_could_be_minted__sells_only_what_is_left(
    desk: Desk, sale: Offering
) -> None:
    book = subscribe(desk, sale, 90, 90, 5)
    for operation in close(desk, sale):
        operation.state = OperationState.REFUSED
    desk.session.flush()

    minting.reopen_sale(desk.session, sale.tokenization_id)

    token = tokenizations.get_tokenization(desk.session, sale.tokenization_id)
    assert token.state == TokenizationState.OFFERING
    states = [desk.session.get_one(Order, order.id).state for order in book]
    assert states == [OrderState.PAID, OrderState.PAID, OrderState.REFUND_DUE]
    with pytest.raises(Conflict, match="order_exceeds_offer"):
        sales.order(desk, sale, make.buyer(desk), 4)
    assert minted(close(desk, sale))[f"mint:order:{book[0].id}"] == 50
    assert len(orders.list_orders(desk.session, offering_id=sale.id)) == 3


def test_database__allotted_sale__takes_no_more_than_is_offered(desk: Desk, sale: Offering) -> None:
    subscribe(desk, sale, 100, 100)

    with pytest.raises(IntegrityError, match="ck_offering_not_oversold"):
        desk.session.connection().execute(text("UPDATE offering SET allotted_at = now()"))

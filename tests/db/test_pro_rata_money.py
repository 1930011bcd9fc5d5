"""Whoever subscribes for how much: all fractions have a buyer, and all rupees an owner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from registry.kernel.actor import Role
from registry.ledger import service as ledger
from registry.ledger.models import Account
from registry.offering import minting, orders, unwinding
from registry.offering import service as offerings
from registry.offering.models import Allotment, Offering, Order, OrderState
from registry.offering.money import fault_of, standings_of
from tests import factories as make
from tests import sales
from tests.db.stage import Stage, StageMaker
from tests.factories import ACTORS, COMPLIANCE, Buyer, Desk

pytestmark = pytest.mark.db

usual = settings.default
assert usual is not None
FEWER = settings(max_examples=usual.max_examples // 4)
MOST = 60


@dataclass(frozen=True)
class Market:
    sale: Offering
    buyer: Buyer


def open_market(desk: Desk) -> Market:
    wrapped = sales.wrapped_apartment(desk)
    return Market(sales.offering(desk, wrapped, allotment=Allotment.PRO_RATA), make.buyer(desk))


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Market]]:
    with make_stage(open_market) as stage:
        yield stage


@FEWER
@given(
    cap=st.integers(1, MOST),
    ticket=st.integers(1, 9),
    asked=st.lists(st.tuples(st.integers(1, MOST), st.booleans()), max_size=12),
)
def test_close__any_book__sells_the_hard_cap_and_keeps_or_refunds_every_paisa(
    stage: Stage[Market], cap: int, ticket: int, asked: list[tuple[int, bool]]
) -> None:
    with stage.database.engine.connect() as connection:
        outer = connection.begin()
        with Session(
            connection, join_transaction_mode="create_savepoint", expire_on_commit=False
        ) as session:
            play(session, stage.on(session), cap, min(ticket, cap), asked)
        outer.rollback()


def play(
    session: Session, market: Market, cap: int, ticket: int, asked: list[tuple[int, bool]]
) -> None:
    sale, desk = market.sale, Desk(session, None, None)  # type: ignore[arg-type]
    sale.offered_units, sale.min_ticket_units = cap, ticket
    book: list[Order] = []
    for units, pays in asked:
        order = sales.order(desk, sale, market.buyer, max(min(units, cap), ticket))
        if pays:
            book.append(sales.pay(desk, order))
    subscribed = sum(order.units for order in book)
    came = ledger.balance_of(session, Account.BANK)
    assert came == subscribed * sale.price_paisa

    planned = offerings.close_and_mint(session, COMPLIANCE, sale.tokenization_id)

    sold = sum(order.allotted_units or 0 for order in book)
    assert min(cap, subscribed) - sold < ticket
    assert sold == min(cap, subscribed) or any(order.allotted_units == 0 for order in book)
    assert sum(int(mint.params["units"]) for mint in planned) == sales.FRACTIONS
    assert sale.reserved_units == sold
    judge_money(session, sale, sold=sold, came=came)


def judge_money(session: Session, sale: Offering, *, sold: int, came: int) -> None:
    """Send everything back that is due, settle what was sold, and count."""
    book = orders.list_orders(session, offering_id=sale.id)
    standings = standings_of(session, [order.id for order in book])
    assert {fault_of(order, standings[order.id]) for order in book} <= {None}
    refunded = 0
    for number, order in enumerate(book):
        if due := standings[order.id].due:
            unwinding.record_refund(
                session, ACTORS[Role.TREASURY], order.id, rail_reference=f"BACK-{number}"
            )
            refunded += due
    minting.settle_orders(
        session, [order.id for order in book if order.state == OrderState.MINTING]
    )
    kept = -ledger.balance_of(session, Account.SALE_PROCEEDS, sale.id)
    assert kept == sold * sale.price_paisa
    assert refunded + kept == came
    assert ledger.balance_of(session, Account.BANK) == kept
    assert sum(ledger.trial_balance(session).balances.values()) == 0

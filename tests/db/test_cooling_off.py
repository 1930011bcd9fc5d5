"""Paid orders that their buyers take back, and what nobody mints meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlmodel import Session, select

from registry.journal.models import JournalEntry
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, NotFound
from registry.offering import leaving
from registry.offering import service as offerings
from registry.offering.models import Offering, Order, OrderState
from registry.offering.money import fault_of, standing_of
from registry.operation.models import Operation, OperationKind
from tests import factories as make
from tests import sales
from tests.db.stage import Stage, StageMaker
from tests.factories import COMPLIANCE, Buyer, Desk

pytestmark = pytest.mark.db

HOURS = 48


@dataclass(frozen=True)
class Market:
    sale: Offering
    buyer: Buyer


def open_market(desk: Desk) -> Market:
    wrapped = sales.wrapped_apartment(desk)
    sale = sales.offering(desk, wrapped, offered_units=100, cooling_off_hours=HOURS)
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
def paid(desk: Desk, market: Market) -> Order:
    return sales.pay(desk, sales.order(desk, market.sale, market.buyer, 30))


def withdraw(desk: Desk, market: Market, order: Order) -> Order:
    return leaving.withdraw_order(desk.session, market.buyer.actor, order.id)


def let_pass(desk: Desk, order: Order) -> None:
    order.withdrawable_until = now()
    desk.session.flush()


def test_withdraw__within_the_time__gives_fractions_and_every_paisa_back(
    desk: Desk, market: Market, paid: Order
) -> None:
    assert paid.withdrawable_until == paid.recorded_at + timedelta(hours=HOURS)

    withdraw(desk, market, paid)

    standing = standing_of(desk.session, paid.id)
    assert (paid.state, market.sale.reserved_units) == (OrderState.REFUND_DUE, 0)
    assert (standing.due, standing.held) == (paid.amount_paisa, 0)
    assert fault_of(paid, standing) is None
    acts = desk.session.exec(
        select(JournalEntry.act).where(JournalEntry.subject_id == str(paid.id))
    )
    assert "order_withdrawn" in set(acts)


def test_withdraw__twice__is_refused(desk: Desk, market: Market, paid: Order) -> None:
    withdraw(desk, market, paid)

    with pytest.raises(Conflict, match="order_not_withdrawable"):
        withdraw(desk, market, paid)


def test_withdraw__after_the_time__is_refused_and_says_when(
    desk: Desk, market: Market, paid: Order
) -> None:
    let_pass(desk, paid)

    with pytest.raises(Conflict, match="cooling_off_over") as refusal:
        withdraw(desk, market, paid)

    assert "could be withdrawn until" in refusal.value.detail
    assert paid.state == OrderState.PAID


def test_withdraw__unpaid_order__is_cancelled_instead(desk: Desk, market: Market) -> None:
    order = sales.order(desk, market.sale, market.buyer)

    with pytest.raises(Conflict, match="order_not_withdrawable") as refusal:
        withdraw(desk, market, order)

    assert refusal.value.remedy == "An unpaid order is cancelled, at /cancel."


def test_withdraw__of_another__is_not_found(desk: Desk, paid: Order) -> None:
    with pytest.raises(NotFound):
        leaving.withdraw_order(desk.session, make.buyer(desk).actor, paid.id)


def test_withdraw__sale_without_cooling_off__is_refused(desk: Desk, market: Market) -> None:
    market.sale.cooling_off_hours = 0
    order = sales.pay(desk, sales.order(desk, market.sale, market.buyer))

    assert order.withdrawable_until is None
    with pytest.raises(Conflict, match="cooling_off_over"):
        withdraw(desk, market, order)


def test_close__somebody_may_still_withdraw__is_refused_and_mints_nothing(
    desk: Desk, market: Market, paid: Order
) -> None:
    with pytest.raises(Conflict, match="cooling_off_running"), desk.session.begin_nested():
        offerings.close_and_mint(desk.session, COMPLIANCE, market.sale.tokenization_id)
    mints = select(Operation).where(Operation.kind == OperationKind.MINT)
    assert desk.session.exec(mints).all() == []

    let_pass(desk, paid)
    planned = offerings.close_and_mint(desk.session, COMPLIANCE, market.sale.tokenization_id)
    assert len(planned) == 2
    with pytest.raises(Conflict, match="order_not_withdrawable"):
        withdraw(desk, market, paid)


def test_close__who_withdrew__is_not_waited_for(desk: Desk, market: Market, paid: Order) -> None:
    withdraw(desk, market, paid)

    [rest] = offerings.close_and_mint(desk.session, COMPLIANCE, market.sale.tokenization_id)

    assert int(rest.params["units"]) == sales.FRACTIONS

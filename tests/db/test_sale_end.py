"""What the clock does with a sale: orders lapse, the sale closes or fails."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import update
from sqlmodel import Session, col, select

from registry.document.store import DocumentStore
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.kernel.vault import Vault
from registry.offering import ending, minting, unwinding
from registry.offering import service as offerings
from registry.offering.models import Offering, OfferingState, Order, OrderState
from registry.operation.models import Operation, OperationKind, OperationState
from registry.sweep.service import sweep
from registry.tokenization.models import Tokenization, TokenizationState
from tests import factories as make
from tests import liens, sales
from tests.conftest import DatabaseMaker
from tests.db.races import together
from tests.db.stage import Stage, StageMaker
from tests.factories import COMPLIANCE, Buyer, Desk
from tests.sales import Wrapped

pytestmark = pytest.mark.db

DAY = timedelta(days=1)
MINIMUM = 10


@dataclass(frozen=True)
class Market:
    wrapped: Wrapped
    sale: Offering
    buyer: Buyer


def open_market(desk: Desk) -> Market:
    wrapped = sales.wrapped_apartment(desk)
    sale = sales.offering(
        desk,
        wrapped,
        offered_units=100,
        minimum_units=MINIMUM,
        closes_at=now() + DAY,
        payment_hours=24,
        cooling_off_hours=48,
    )
    return Market(wrapped, sale, make.buyer(desk))


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Market]]:
    with make_stage(open_market) as stage:
        yield stage


@pytest.fixture
def fresh_database(make_database: DatabaseMaker, stage: Stage[Market]) -> Iterator[Database]:
    """Give a database of the test's own: a sweep commits."""
    with make_database(stage.database) as database:
        yield database


class Register:
    """What the test does between two rounds of the clock."""

    def __init__(self, database: Database, market: Market, desk_of: tuple[Vault, DocumentStore]):
        self.database = database
        self._market = market
        self._desk_of = desk_of

    def order(self, units: int, *, paid: bool) -> Order:
        with self.database.transaction() as session:
            desk = Desk(session, *self._desk_of)
            order = sales.order(desk, self._market.sale, self._market.buyer, units)
            return sales.pay(desk, order) if paid else order

    def let_pass(self, **columns: bool) -> None:
        """Have moments be over: of the sale, to pay, to withdraw."""
        with self.database.transaction() as session:
            if columns.get("closes_at"):
                session.get_one(Offering, self._market.sale.id).closes_at = now()
            for order in session.exec(select(Order)).all():
                for name in ("pay_until", "withdrawable_until"):
                    if columns.get(name):
                        setattr(order, name, now())

    def stay(self) -> None:
        with self.database.transaction() as session:
            desk = Desk(session, *self._desk_of)
            asset = session.merge(self._market.wrapped.asset)
            liens.active(desk, asset, EncumbranceKind.STAY_ORDER)

    def refuse_mints(self) -> None:
        with self.database.transaction() as session:
            session.execute(
                update(Operation)
                .where(col(Operation.kind) == OperationKind.MINT)
                .values(state=OperationState.REFUSED)
            )

    def sweep(self) -> dict[str, int]:
        fired = sweep(self.database)
        return {name: fired[name] for name in ("order_lapse", "offering_end")}

    @property
    def state(self) -> tuple[OfferingState, TokenizationState]:
        with self.database.reading() as session:
            sale = session.get_one(Offering, self._market.sale.id)
            return sale.state, session.get_one(Tokenization, sale.tokenization_id).state

    def state_of(self, order: Order) -> OrderState:
        with self.database.reading() as session:
            return session.get_one(Order, order.id).state


@pytest.fixture
def register(
    fresh_database: Database, stage: Stage[Market], vault: Vault, store: DocumentStore
) -> Register:
    return Register(fresh_database, stage.scene, (vault, store))


OPEN = (OfferingState.OPEN, TokenizationState.OFFERING)


def test_sweep__time_over_and_the_minimum_paid__closes_and_plans_the_mints(
    register: Register,
) -> None:
    order = register.order(MINIMUM, paid=True)
    assert register.sweep() == {"order_lapse": 0, "offering_end": 0}
    register.let_pass(closes_at=True, withdrawable_until=True)

    assert register.sweep() == {"order_lapse": 0, "offering_end": 1}

    assert register.state == (OfferingState.CLOSED, TokenizationState.MINTING)
    assert register.state_of(order) == OrderState.MINTING
    assert register.sweep()["offering_end"] == 0


def test_sweep__time_over_and_too_little_paid__fails_and_refunds_are_due(
    register: Register,
) -> None:
    order = register.order(MINIMUM - 1, paid=True)
    register.let_pass(closes_at=True, withdrawable_until=True)

    assert register.sweep()["offering_end"] == 1

    assert register.state == (OfferingState.FAILED, TokenizationState.UNWINDING)
    assert register.state_of(order) == OrderState.REFUND_DUE


def test_sweep__somebody_may_still_withdraw__waits(register: Register) -> None:
    register.order(MINIMUM, paid=True)
    register.let_pass(closes_at=True)

    assert register.sweep()["offering_end"] == 0
    assert register.state == OPEN


def test_sweep__somebody_has_time_to_pay__waits_and_then_lets_the_order_lapse(
    register: Register,
) -> None:
    register.order(MINIMUM, paid=True)
    unpaid = register.order(20, paid=False)
    register.let_pass(closes_at=True, withdrawable_until=True)
    assert register.sweep()["offering_end"] == 0

    register.let_pass(pay_until=True)
    assert register.sweep() == {"order_lapse": 1, "offering_end": 1}
    assert register.state_of(unpaid) == OrderState.CANCELLED


def test_sweep__time_to_pay_is_over__gives_the_fractions_back(register: Register) -> None:
    order = register.order(100, paid=False)
    register.let_pass(pay_until=True)

    assert register.sweep() == {"order_lapse": 1, "offering_end": 0}
    assert register.state_of(order) == OrderState.CANCELLED
    register.order(100, paid=False)


def test_sweep__court_has_stopped_the_asset__leaves_the_sale_to_people(
    register: Register,
) -> None:
    register.order(MINIMUM, paid=True)
    register.let_pass(closes_at=True, withdrawable_until=True)
    register.stay()

    assert register.sweep()["offering_end"] == 0
    assert register.state == OPEN


def test_end__sale_whose_time_is_not_over__is_refused(
    register: Register, stage: Stage[Market]
) -> None:
    with (
        register.database.transaction() as session,
        pytest.raises(Conflict, match="offering_not_over"),
    ):
        ending.end_offering(session, stage.scene.sale.id)


def test_sweep__every_mint_refused_after_the_time__closes_no_second_time(
    register: Register, stage: Stage[Market]
) -> None:
    order = register.order(MINIMUM, paid=True)
    register.let_pass(closes_at=True, withdrawable_until=True)
    assert register.sweep()["offering_end"] == 1
    register.refuse_mints()

    assert [register.sweep()["offering_end"] for _ in range(2)] == [0, 0]

    assert (register.state, register.state_of(order)) == (OPEN, OrderState.PAID)
    with register.database.transaction() as session:
        minting.give_back_order(session, COMPLIANCE, order.id, reason="Never to be minted")
        unwinding.unwind_offering(
            session, COMPLIANCE, stage.scene.sale.tokenization_id, reason="Nobody is left"
        )
    assert register.state_of(order) == OrderState.REFUND_DUE
    assert register.state == (OfferingState.FAILED, TokenizationState.UNWINDING)


def test_sweep__mints_refused_before_the_time__closes_once_more_when_it_is_over(
    register: Register, stage: Stage[Market]
) -> None:
    register.order(MINIMUM, paid=True)
    register.let_pass(withdrawable_until=True)
    with register.database.transaction() as session:
        offerings.close_and_mint(session, COMPLIANCE, stage.scene.sale.tokenization_id)
    register.refuse_mints()
    register.sweep()
    register.let_pass(closes_at=True)

    assert register.sweep()["offering_end"] == 1


def test_sweep__two_at_once__close_once(register: Register) -> None:
    register.order(MINIMUM, paid=True)
    register.let_pass(closes_at=True, withdrawable_until=True)

    def run(_: Session) -> int:
        return register.sweep()["offering_end"]

    outcomes = together(register.database, [run, run])

    assert sorted(map(str, outcomes)) == ["0", "1"]
    assert register.state == (OfferingState.CLOSED, TokenizationState.MINTING)

"""Whatever buyers and banks do, in whatever order, no fraction or paisa is lost or used twice."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlmodel import Session, select

from registry.document.store import FolderStore
from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.kernel.vault import Vault
from registry.ledger import service as ledger
from registry.ledger.models import Account
from registry.offering import leaving, minting, orders, unwinding, waiting
from registry.offering import service as offerings
from registry.offering.models import (
    RESERVING,
    Offering,
    Order,
    OrderState,
    Payment,
    WaitingEntry,
    WaitingState,
)
from registry.offering.money import fault_of, standing_of, standings_of
from registry.payment.rails import BANK, Reversal
from registry.payment.reversing import reverse_receipt
from tests import factories as make
from tests import sales
from tests.factories import ACTORS, COMPLIANCE, Buyer, Desk

pytestmark = pytest.mark.db

OFFERED, TICKET = 40, 2
PARTS = st.sampled_from([-1, 0, 0, 0, 1, 2, 100, sales.PRICE_PAISA])
"""Up to 1, what is added to the price; otherwise the amount itself."""


@dataclass(frozen=True)
class Market:
    """An offering and its buyers, committed once; every run of the machine is taken back."""

    database: Database
    offering_id: UUID
    buyers: list[Buyer]


@pytest.fixture
def market(fresh_database: Database, vault: Vault, tmp_path: Path) -> Market:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, FolderStore(tmp_path))
        sale = sales.offering(
            desk,
            sales.wrapped_apartment(desk),
            offered_units=OFFERED,
            min_ticket_units=TICKET,
            cooling_off_hours=24,
            waiting_list_hours=24,
        )
        return Market(fresh_database, sale.id, [make.buyer(desk) for _ in range(3)])


class OfferingBook(RuleBasedStateMachine):
    """The services on one side, two dictionaries on the other."""

    market: Market
    placed = Bundle("placed")

    def __init__(self) -> None:
        super().__init__()
        self.connection = self.market.database.engine.connect()
        self.outer = self.connection.begin()
        self.session = Session(
            self.connection, join_transaction_mode="create_savepoint", expire_on_commit=False
        )
        self.units: dict[UUID, int] = {}
        self.states: dict[UUID, OrderState] = {}
        self.payments: list[UUID] = []
        self.bank = self.told = 0

    def teardown(self) -> None:
        try:
            self.close_and_count()
        finally:
            self.session.close()
            self.outer.rollback()
            self.connection.close()

    @property
    def reserved(self) -> int:
        return sum(self.units[key] for key, state in self.states.items() if state in RESERVING)

    @property
    def sale(self) -> Offering:
        return orders.get_offering(self.session, self.market.offering_id, lock=True)

    def order(self, order_id: UUID) -> Order:
        return self.session.get_one(Order, order_id, populate_existing=True)

    @rule(target=placed, buyer=st.integers(0, 2), units=st.integers(0, OFFERED + 1))
    def reserve(self, buyer: int, units: int) -> object:
        who = self.market.buyers[buyer]
        try:
            order = sales.order(self.desk, self.sale, who, units=units)
        except Invalid:
            assert units < TICKET
            return multiple()
        except Conflict:
            assert units > OFFERED - self.reserved
            return multiple()
        assert TICKET <= units <= OFFERED - self.reserved
        self.units[order.id], self.states[order.id] = units, OrderState.AWAITING_PAYMENT
        return (order.id, buyer)

    @property
    def desk(self) -> Desk:
        # placing an order needs neither the vault nor the store
        return Desk(self.session, None, None)  # type: ignore[arg-type]

    @rule(order=placed, paisa=PARTS, twice=st.booleans())
    def pay(self, order: tuple[UUID, int], paisa: int, twice: bool) -> None:
        row = self.order(order[0])
        self.told += 1
        reference = f"TX-{self.told}"
        amount = row.amount_paisa + paisa if paisa <= 1 else paisa
        for _ in range(1 + twice):
            payment = sales.pay_in(self.session, row, amount, reference=reference)
        self.payments.append(payment.id)
        self.bank += amount
        self.follow(row)

    @precondition(lambda self: self.payments)
    @rule(number=st.integers(0, 99), twice=st.booleans())
    def take_back(self, number: int, twice: bool) -> None:
        payment_id = self.payments.pop(number % len(self.payments))
        payment = self.session.get_one(Payment, payment_id, populate_existing=True)
        told = Reversal("REV", payment.rail_reference, payment.amount_paisa, datetime.now(UTC))
        for _ in range(1 + twice):
            reverse_receipt(self.session, BANK, told)
        self.bank -= payment.amount_paisa
        assert payment.order_id is not None
        self.follow(self.order(payment.order_id))

    @rule(order=placed, part=st.booleans())
    def refund(self, order: tuple[UUID, int], part: bool) -> None:
        due = standing_of(self.session, order[0]).due
        paisa = (due + 1) // 2 if part else due
        try:
            unwinding.record_refund(
                self.session,
                ACTORS[Role.TREASURY],
                order[0],
                rail_reference=secrets.token_hex(8),
                amount_paisa=paisa,
            )
        except Conflict:
            assert due == 0
        else:
            assert due > 0
            self.bank -= paisa
        self.follow(self.order(order[0]))

    def follow(self, row: Order) -> None:
        """Take over what money has made of an order; whether it may is asked of the ledger."""
        before = self.states[row.id]
        assert (before in RESERVING) == (row.state in RESERVING)
        self.states[row.id] = row.state

    @rule(order=placed, own=st.booleans())
    def cancel(self, order: tuple[UUID, int], own: bool) -> None:
        order_id, buyer = order
        who = self.market.buyers[buyer if own else (buyer + 1) % 3]
        try:
            leaving.cancel_order(self.session, who.actor, order_id)
        except NotFound:
            assert not own
        except Conflict:
            assert self.states[order_id] != OrderState.AWAITING_PAYMENT
        else:
            assert own
            assert self.states[order_id] == OrderState.AWAITING_PAYMENT
            held = standing_of(self.session, order_id).due
            self.states[order_id] = OrderState.REFUND_DUE if held else self.order(order_id).state
            assert self.states[order_id] not in RESERVING

    @rule(order=placed)
    def withdraw(self, order: tuple[UUID, int]) -> None:
        order_id, buyer = order
        was = self.states[order_id]
        try:
            leaving.withdraw_order(self.session, self.market.buyers[buyer].actor, order_id)
        except Conflict:
            assert was != OrderState.PAID
        else:
            assert was == OrderState.PAID
            self.states[order_id] = OrderState.REFUND_DUE

    @rule(order=placed)
    def lapse(self, order: tuple[UUID, int]) -> None:
        row = self.order(order[0])
        row.pay_until = now()
        self.session.flush()
        if row.state == OrderState.AWAITING_PAYMENT:
            assert row.id in leaving.list_unpaid(self.session)
            self.states[row.id] = leaving.lapse_order(self.session, row.id).state
            assert self.states[row.id] not in RESERVING

    @rule(buyer=st.integers(0, 2), units=st.integers(TICKET, OFFERED))
    def wait(self, buyer: int, units: int) -> None:
        who = self.market.buyers[buyer]
        waits = {entry.investor_id for entry in self.waiting()}
        try:
            waiting.join_waiting_list(
                self.session,
                who.actor,
                self.market.offering_id,
                units=units,
                wallet_address=who.wallet.address,
            )
        except Conflict:
            assert units <= OFFERED - self.reserved or who.investor.id in waits

    def waiting(self) -> list[WaitingEntry]:
        query = select(WaitingEntry).where(WaitingEntry.state == WaitingState.WAITING)
        return list(self.session.exec(query).all())

    def take_over_offered(self) -> None:
        """Learn of the orders that were offered from the waiting list."""
        for order in orders.list_orders(self.session, offering_id=self.market.offering_id):
            if order.id not in self.states:
                assert order.waiting_entry_id is not None
                self.units[order.id] = order.units
                self.states[order.id] = order.state

    @rule(target=placed)
    def notice_what_was_offered(self) -> object:
        numbers = {who.investor.id: number for number, who in enumerate(self.market.buyers)}
        book = orders.list_orders(self.session, offering_id=self.market.offering_id)
        return multiple(
            *((row.id, numbers[row.investor_id]) for row in book if row.waiting_entry_id)
        )

    @invariant()
    def nobody_waits_for_what_is_left(self) -> None:
        self.session.expire_all()
        left = OFFERED - self.sale.reserved_units
        assert all(entry.units > left for entry in self.waiting())

    @invariant()
    def reserved_is_what_the_orders_hold(self) -> None:
        self.session.expire_all()
        self.take_over_offered()
        sale = self.sale
        book = orders.list_orders(self.session, offering_id=sale.id)
        assert {order.id: order.state for order in book} == self.states
        held = sum(order.units for order in book if order.state in RESERVING)
        assert sale.reserved_units == held == self.reserved <= OFFERED

    @invariant()
    def every_paisa_has_its_place(self) -> None:
        self.session.expire_all()
        book = orders.list_orders(self.session, offering_id=self.market.offering_id)
        standings = standings_of(self.session, [order.id for order in book])
        assert {order.id: fault_of(order, standings[order.id]) for order in book} == dict.fromkeys(
            standings
        )
        assert sum(standing.kept for standing in standings.values()) == self.bank
        assert ledger.balance_of(self.session, Account.BANK) == self.bank
        assert sum(ledger.trial_balance(self.session).balances.values()) == 0

    def close_and_count(self) -> None:
        """At the end every declared fraction is minted, the sold ones to who paid for them."""
        self.session.expire_all()
        for order_id in self.states:
            # Nobody withdraws any more.
            self.order(order_id).withdrawable_until = None
        self.session.flush()
        paid = {key for key, state in self.states.items() if state == OrderState.PAID}
        planned = offerings.close_and_mint(self.session, COMPLIANCE, self.sale.tokenization_id)
        minted = {mint.key: int(mint.params["units"]) for mint in planned}

        assert sum(minted.values()) == sales.FRACTIONS
        assert {key: units for key, units in minted.items() if "order" in key} == {
            f"mint:order:{key}": self.units[key] for key in paid
        }
        assert self.sale.reserved_units == sum(self.units[key] for key in paid)
        assert self.waiting() == []
        minting.settle_orders(self.session, list(paid))
        self.every_paisa_has_its_place()


def test_offering__any_order_of_reserving_paying_and_cancelling__keeps_its_book(
    market: Market,
) -> None:
    usual = settings.default
    assert usual is not None
    run_state_machine_as_test(
        type("BookOfThisMarket", (OfferingBook,), {"market": market}),
        settings=settings(max_examples=usual.max_examples // 3, stateful_step_count=25),
    )

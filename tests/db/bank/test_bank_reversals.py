"""Payments that the bank takes back: by a notice, by a line of a statement, by both."""

from __future__ import annotations

import secrets

import pytest
from sqlmodel import Session, col, select

from registry.document.store import DocumentStore
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.kernel.vault import Vault
from registry.ledger import service as ledger
from registry.ledger.models import Account
from registry.offering import orders
from registry.offering.models import Order, OrderState, Payment, PaymentState, Rail
from registry.offering.money import Standing, standing_of
from registry.payment import allocating, statements
from registry.payment.models import (
    BankStatement,
    LineOutcome,
)
from registry.payment.rails import BANK, Receipt, Reversal
from registry.payment.receiving import book_receipt
from registry.payment.reversing import reverse_receipt
from registry.tokenization import service as tokenizations
from tests import sales
from tests.db.bank.market import COLLEAGUE, TREASURY, Market, numbered, open_market, outcomes, read
from tests.db.races import meanwhile, together
from tests.factories import Desk
from tests.statements import camt, camt_entry, csv_file

pytestmark = pytest.mark.db


def test_import__receipt_and_its_reversal_in_one_file__cancel_out(desk: Desk, order: Order) -> None:
    price = order.amount_paisa
    content = camt(
        0,
        camt_entry("A", price, said=order.reference),
        camt_entry("A", -price, reversal=True),
        camt_entry("A", -price + 1, reversal=True),
        closing=-price + 1,
    )

    row = read(desk, content)

    booked = LineOutcome.BOOKED
    assert outcomes(desk, row) == [booked, booked, LineOutcome.DIFFERS]
    assert order.state == OrderState.AWAITING_PAYMENT
    assert standing_of(desk.session, order.id) == Standing()


def test_import__two_payments_of_one_reference__are_both_booked_and_taken_back(
    desk: Desk, order: Order
) -> None:
    twice = [camt_entry("A", 70, said=order.reference) for _ in range(2)]
    row = read(desk, camt(0, *twice, closing=140))

    booked, known = LineOutcome.BOOKED, LineOutcome.KNOWN
    assert outcomes(desk, row) == [booked, booked]
    assert standing_of(desk.session, order.id) == Standing(held=140)
    again = read(desk, camt(0, *twice, camt_entry("B", 1), closing=141))
    assert outcomes(desk, again) == [known, known, booked]

    back = [camt_entry("A", -70, reversal=True) for _ in range(3)]
    row = read(desk, camt(141, *back, closing=-69))
    assert outcomes(desk, row) == [booked, booked, LineOutcome.DIFFERS]
    assert standing_of(desk.session, order.id) == Standing()


def test_import__names_the_order_and_takes_the_money_back__ends_with_nothing(
    desk: Desk, order: Order
) -> None:
    book_receipt(desk.session, BANK, Receipt("A", None, 70, now()))
    came = camt_entry("A", 70, said=order.reference)

    row = read(desk, camt(0, came, camt_entry("A", -70, reversal=True), closing=0))

    assert outcomes(desk, row) == [LineOutcome.KNOWN, LineOutcome.BOOKED]
    assert standing_of(desk.session, order.id) == Standing()
    assert ledger.balance_of(desk.session, Account.UNALLOCATED) == 0


def test_import__second_reversal_on_another_day__takes_the_second_payment_back(
    desk: Desk, order: Order
) -> None:
    twice = [camt_entry("A", 70, said=order.reference) for _ in range(2)]
    read(desk, camt(0, *twice, closing=140))

    def undone(day: str, opening: int) -> list[LineOutcome]:
        entry = camt_entry("A", -70, reversal=True, day=day)
        return outcomes(desk, read(desk, camt(opening, entry, closing=opening - 70, day=day)))

    booked, known = [LineOutcome.BOOKED], [LineOutcome.KNOWN]
    assert undone("2026-07-16", 140) == booked
    assert undone("2026-07-16", 141) == known
    assert undone("2026-07-17", 70) == booked
    assert undone("2026-07-18", 0) == [LineOutcome.DIFFERS]
    assert standing_of(desk.session, order.id) == Standing()


def test_import__notice_of_a_reversal_and_its_line__are_one(desk: Desk, order: Order) -> None:
    twice = [("A", 70, order.reference, "", "")] * 2
    read(desk, csv_file(0, *twice))
    reverse_receipt(desk.session, BANK, Reversal("V1", "A", 70, now()))

    row = read(desk, csv_file(140, ("V1", -70, "", "", "A"), ("V2", -70, "", "", "A")))
    reverse_receipt(desk.session, BANK, Reversal("V2", "A", 70, now()))

    assert outcomes(desk, row) == [LineOutcome.KNOWN, LineOutcome.BOOKED]
    assert standing_of(desk.session, order.id) == Standing()
    with pytest.raises(Conflict, match="payment_not_reversible"):
        reverse_receipt(desk.session, BANK, Reversal("V3", "A", 70, now()))


@pytest.fixture
def numbered_of_two(desk: Desk, market: Market, order: Order) -> tuple[Order, Order]:
    """Have the bank give two payments one number: of an order each, on two days."""
    other = sales.order(desk, market.sale, market.buyer)
    for each, day in ((order, "2026-07-14"), (other, "2026-07-15")):
        read(desk, numbered(each, "1", day, statement=day))
    return order, other


def test_reverse__notice_of_a_number_that_names_the_order__takes_that_payment_back(
    desk: Desk, numbered_of_two: tuple[Order, Order]
) -> None:
    first, second = numbered_of_two
    reverse_receipt(desk.session, BANK, Reversal("V", "1", 70, now(), said=second.reference))

    back = camt_entry(
        "1", -70, said=second.reference, reversal=True, day="2026-07-16", name="NtryRef"
    )
    row = read(desk, camt(140, back, closing=70, day="2026-07-16"))

    assert outcomes(desk, row) == [LineOutcome.KNOWN]
    assert standing_of(desk.session, first.id) == Standing(held=70)
    assert standing_of(desk.session, second.id) == Standing()


def test_reverse__notice_of_a_number_that_several_have__takes_none_back(
    desk: Desk, numbered_of_two: tuple[Order, Order]
) -> None:
    with pytest.raises(Conflict, match="payment_not_reversible") as refused:
        reverse_receipt(desk.session, BANK, Reversal("V", "1", 70, now()))

    assert "names several payments" in refused.value.detail
    assert [standing_of(desk.session, each.id).held for each in numbered_of_two] == [70, 70]


def test_reverse__notice_of_a_number_that_names_the_order__leaves_what_nobody_named(
    desk: Desk, order: Order
) -> None:
    read(desk, numbered(order, "1", "2026-07-14", statement="S1"))
    entry = camt_entry("1", 70, day="2026-07-15", name="NtryRef")
    read(desk, camt(70, entry, closing=140, day="2026-07-15"))

    def told(own: str) -> Payment:
        reversal = Reversal(own, "1", 70, now(), said=order.reference)
        return reverse_receipt(desk.session, BANK, reversal)

    assert told("V").order_id == order.id
    assert standing_of(desk.session, order.id) == Standing()
    assert ledger.balance_of(desk.session, Account.UNALLOCATED) == -70


def test_import__two_reversals_of_a_number_that_name_one_order__take_one_payment_of_it_back(
    desk: Desk, order: Order
) -> None:
    read(desk, numbered(order, "1", "2026-07-14", statement="S1"))
    entry = camt_entry("1", 70, day="2026-07-15", name="NtryRef")
    read(desk, camt(70, entry, closing=140, day="2026-07-15"))
    back = camt_entry(
        "1", -70, said=order.reference, reversal=True, day="2026-07-16", name="NtryRef"
    )

    row = read(desk, camt(140, back, back, closing=0, day="2026-07-16"))

    assert outcomes(desk, row) == [LineOutcome.BOOKED, LineOutcome.UNKNOWN]
    assert ledger.balance_of(desk.session, Account.UNALLOCATED) == -70


def test_import__reversal_of_a_reference_of_two_orders__needs_to_name_one(
    desk: Desk, market: Market, order: Order
) -> None:
    other = sales.order(desk, market.sale, market.buyer)
    read(desk, csv_file(0, *[("A", 70, each.reference, "", "") for each in (order, other)]))

    unclear = read(desk, csv_file(140, ("V1", -70, "", "", "A")))
    clear = read(desk, csv_file(140, ("V2", -70, other.reference, "", "A")))

    assert outcomes(desk, unclear) == [LineOutcome.DIFFERS]
    assert outcomes(desk, clear) == [LineOutcome.BOOKED]
    assert [standing_of(desk.session, each.id).held for each in (order, other)] == [70, 0]


def test_reverse__names_the_order_that_treasury_assigned_it_to__is_of_it(
    desk: Desk, order: Order
) -> None:
    digit = "1" if order.reference[5] == "0" else "0"
    typed = order.reference[:5] + digit + order.reference[6:]
    payment = book_receipt(desk.session, BANK, Receipt("A", typed, 70, now()))
    allocating.assign_payment(desk.session, TREASURY, payment.id, order.id)

    reverse_receipt(desk.session, BANK, Reversal("V", "A", 70, now(), said=order.reference))

    assert standing_of(desk.session, order.id) == Standing()


def test_reverse__names_the_order_that_two_people_assigned_it_to__is_known_when_told_again(
    desk: Desk, market: Market, order: Order
) -> None:
    other = sales.order(desk, market.sale, market.buyer)
    other.rail = Rail.ONCHAIN_RUPEE
    desk.session.flush()
    payment = book_receipt(desk.session, BANK, Receipt("A", other.reference, 70, now()))
    for person in (TREASURY, COLLEAGUE):
        allocating.assign_payment(desk.session, person, payment.id, order.id)
    told = Reversal("V", "A", 70, now(), said=order.reference)
    reverse_receipt(desk.session, BANK, told)

    again = reverse_receipt(desk.session, BANK, told)
    row = read(desk, csv_file(70, ("V", -70, order.reference, "", "A")))

    assert again.id == payment.id
    assert outcomes(desk, row) == [LineOutcome.KNOWN]
    assert standing_of(desk.session, order.id) == Standing()


def test_import__that_takes_back__locks_tokens_before_orders(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        market = open_market(desk)
        order = sales.pay(desk, sales.order(desk, market.sale, market.buyer), 70, reference="A")
    content = camt(
        70, camt_entry("B", 5, said=order.reference), camt_entry("A", -70, reversal=True), closing=5
    )

    def read_it(session: Session) -> BankStatement:
        return statements.import_statement(session, TREASURY, content)[0]

    with fresh_database.transaction() as closing:
        tokenizations.get_tokenization(closing, market.sale.tokenization_id, lock=True)
        with meanwhile(fresh_database, read_it) as told:
            assert orders.lock_book(closing, orders.get_offering(closing, market.sale.id))
            closing.commit()
        assert told.result().closing_paisa == told.result().ledger_paisa == 5


def test_reverse__told_while_the_sale_closes__locks_token_order_and_payment_in_turn(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        market = open_market(desk)
        order = sales.pay(desk, sales.order(desk, market.sale, market.buyer), 70, reference="A")

    def told(session: Session) -> Payment:
        return reverse_receipt(session, BANK, Reversal("V", "A", 70, now()))

    with fresh_database.transaction() as other:
        tokenizations.get_tokenization(other, market.sale.tokenization_id, lock=True)
        with meanwhile(fresh_database, told) as reversed_:
            # Whoever has the token gets the payment without a wait for who waits for the token.
            query = select(Payment).where(col(Payment.order_id) == order.id)
            assert other.exec(query.with_for_update(nowait=True)).one()
            other.commit()
        assert reversed_.result().state == PaymentState.REVERSED


def test_import__notice_and_statement_of_one_reversal_at_once__are_one(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        market = open_market(desk)
        order = sales.order(desk, market.sale, market.buyer)
        for _ in range(2):
            sales.pay(desk, order, 70, reference=secrets.token_hex(4))
        sales.pay(desk, order, 70, reference="A")
    content = csv_file(210, ("V", -70, "", "", "A"))

    found = together(
        fresh_database,
        [
            lambda session: reverse_receipt(session, BANK, Reversal("V", "A", 70, now())),
            lambda session: statements.import_statement(session, TREASURY, content),
            lambda session: reverse_receipt(session, BANK, Reversal("V", "A", 70, now())),
        ],
    )

    assert [item for item in found if isinstance(item, Exception)] == []
    with fresh_database.reading() as reader:
        assert standing_of(reader, order.id) == Standing(held=140)

"""Statements of the bank: what they bring that nobody told us, and what we cannot place."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlmodel import Session, select

from registry.document.store import DocumentStore
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.vault import Vault
from registry.ledger import service as ledger
from registry.ledger.models import Account
from registry.offering import unwinding
from registry.offering.models import Order, OrderState, Payment, PaymentState
from registry.offering.money import Standing, standing_of
from registry.payment import allocating, statements
from registry.payment.models import (
    BankStatement,
    BankStatementLine,
    LineOutcome,
)
from registry.payment.rails import BANK, Receipt, Reversal
from registry.payment.receiving import book_receipt
from registry.payment.reversing import reverse_receipt
from registry.redemption.repository import list_payouts
from tests import redemptions, sales
from tests.db.bank.market import TREASURY, numbered, open_market, outcomes, read
from tests.db.races import meanwhile, together
from tests.factories import Desk
from tests.statements import camt, camt_entry, csv_file

pytestmark = pytest.mark.db


def test_import__receipts_nobody_told__are_booked(desk: Desk, order: Order) -> None:
    price = order.amount_paisa
    content = camt(
        0,
        camt_entry("A", price, said=f"flat {order.reference.lower()}", payer="Ayesha Khan"),
        camt_entry("B", 50, said="rent"),
        camt_entry("C", 9, state="PDNG"),
        closing=price + 50,
    )

    row = read(desk, content)

    assert order.state == OrderState.PAID
    assert outcomes(desk, row) == [LineOutcome.BOOKED, LineOutcome.BOOKED, LineOutcome.PENDING]
    assert row.closing_paisa == row.ledger_paisa == price + 50
    assert row.account_hint == "PK***6702"
    payments = {item.rail_reference: item for item in desk.session.exec(select(Payment)).all()}
    assert payments["A"].payer_hint == "A*** K***"
    assert payments["B"].state == PaymentState.UNALLOCATED


def test_import__same_file_again__changes_nothing(desk: Desk, order: Order) -> None:
    content = camt(0, camt_entry("A", 70, said=order.reference), closing=70)
    first = read(desk, content)

    again, is_new = statements.import_statement(desk.session, TREASURY, content)

    assert (again.id, is_new) == (first.id, False)
    assert standing_of(desk.session, order.id) == Standing(held=70)


def test_import__what_a_notice_told__is_known_or_differs(desk: Desk, order: Order) -> None:
    sales.pay_in(desk.session, order, 70, reference="A")
    sales.pay_in(desk.session, order, 80, reference="B")
    content = camt(0, camt_entry("A", 70, said=order.reference), camt_entry("B", 81), closing=151)

    row = read(desk, content)

    assert outcomes(desk, row) == [LineOutcome.KNOWN, LineOutcome.DIFFERS]
    assert standing_of(desk.session, order.id) == Standing(held=150)
    assert row.closing_paisa - row.ledger_paisa == 1


def test_import__refund_payout_and_a_stranger__are_told_apart(desk: Desk, order: Order) -> None:
    sales.pay(desk, order, order.amount_paisa + 7)
    for paisa, reference in ((5, "BACK-1"), (2, "BACK-2")):
        unwinding.record_refund(
            desk.session, TREASURY, order.id, rail_reference=reference, amount_paisa=paisa
        )
    content = csv_file(
        1_000,
        ("BACK-1", -5, "", "", ""),
        ("BACK-2", -3, "", "", ""),
        ("FEE", -90, "", "", ""),
        ("REV", -90, "", "", "NEVER"),
    )

    row = read(desk, content)

    unknown = LineOutcome.UNKNOWN
    assert outcomes(desk, row) == [LineOutcome.KNOWN, LineOutcome.DIFFERS, unknown, unknown]
    found = statements.list_lines(desk.session, row.id, outcome=unknown, after=0, limit=9)
    assert [line.bank_reference for line in found] == ["FEE", "REV"]
    assert statements.count_outcomes(desk.session, row.id)[unknown] == 2


def test_import__payouts_of_a_redemption__are_known(desk: Desk) -> None:
    made = redemptions.being_paid(desk)
    redemptions.pay_all(desk, made.redemption)
    sums = [row.amount_paisa for row in list_payouts(desk.session, made.redemption.id)]
    left = [(f"RAAST-{number}", -paisa, "", "", "") for number, paisa in enumerate(sums)]
    left[1] = ("RAAST-1", -1, "", "", "")

    row = read(desk, csv_file(sum(sums), *left))

    assert outcomes(desk, row) == [LineOutcome.KNOWN, LineOutcome.DIFFERS, LineOutcome.KNOWN]


def test_import__one_refund_that_left_twice__differs(desk: Desk, order: Order) -> None:
    sales.pay(desk, order, order.amount_paisa + 5)
    unwinding.record_refund(desk.session, TREASURY, order.id, rail_reference="BACK-9")
    left = ("BACK-9", -5, "", "", "")

    row = read(desk, csv_file(10, left, left))

    assert outcomes(desk, row) == [LineOutcome.KNOWN, LineOutcome.DIFFERS]


def test_import__entries_that_are_only_numbered__are_of_their_own_days(
    desk: Desk, order: Order
) -> None:
    for day in ("2026-07-14", "2026-07-15"):
        row = read(desk, numbered(order, "1", day, statement=day))
        assert outcomes(desk, row) == [LineOutcome.BOOKED]
    again = read(desk, numbered(order, "1", "2026-07-15", statement="another name"))
    other = read(desk, numbered(order, "1", "2026-07-15", statement="afternoon", paisa=50))

    assert (outcomes(desk, again), outcomes(desk, other)) == (
        [LineOutcome.KNOWN],
        [LineOutcome.BOOKED],
    )
    assert standing_of(desk.session, order.id) == Standing(held=190)


@pytest.mark.parametrize("before", ["1", "PK***6702/S-1/1"])
def test_import__what_an_older_version_booked_by_its_number__is_known(
    desk: Desk, order: Order, before: str
) -> None:
    read(desk, numbered(order, "1", "2026-07-14", statement="S-1"))
    payment = desk.session.exec(select(Payment)).one()
    [line] = desk.session.exec(select(BankStatementLine)).all()
    payment.rail_reference = line.bank_reference = before
    desk.session.flush()

    again = read(desk, numbered(order, "1", "2026-07-14", statement="S-2"))
    next_day = read(desk, numbered(order, "1", "2026-07-15", statement="S-3"))
    back = camt_entry("1", -70, reversal=True, day="2026-07-16", name="NtryRef")
    undone = read(desk, camt(140, back, closing=70, day="2026-07-16"))

    assert outcomes(desk, again) == [LineOutcome.KNOWN]
    assert outcomes(desk, next_day) == [LineOutcome.BOOKED]
    # Two have that number: nobody knows which was taken back.
    assert outcomes(desk, undone) == [LineOutcome.UNKNOWN]
    assert standing_of(desk.session, order.id) == Standing(held=140)


def test_import__unique_numbers_and_notices_of_them__are_one_payment_either_way(
    desk: Desk, order: Order
) -> None:
    at = datetime(2026, 7, 14, 22, tzinfo=UTC)
    notices = [Receipt(name, order.reference, 70, at) for name in ("FT1", "FT2")]
    book_receipt(desk.session, BANK, notices[0])
    first = read(desk, numbered(order, "FT1", "2026-07-15", statement="S"))
    second = read(desk, numbered(order, "FT2", "2026-07-15", statement="S"))
    book_receipt(desk.session, BANK, notices[1])
    in_csv = read(desk, csv_file(0, ("FT2", 70, "", "", "")))

    assert [outcomes(desk, row) for row in (first, second, in_csv)] == [
        [LineOutcome.KNOWN],
        [LineOutcome.BOOKED],
        [LineOutcome.KNOWN],
    ]
    assert standing_of(desk.session, order.id) == Standing(held=140)
    back = camt_entry("FT2", -70, reversal=True, day="2026-07-16", name="NtryRef")
    undone = read(desk, camt(140, back, closing=70, day="2026-07-16"))
    reverse_receipt(desk.session, BANK, Reversal("V", "FT2", 70, at))
    assert outcomes(desk, undone) == [LineOutcome.BOOKED]
    assert standing_of(desk.session, order.id) == Standing(held=70)


def test_import__refund_recorded_by_a_number__is_known_once(desk: Desk, order: Order) -> None:
    sales.pay(desk, order, order.amount_paisa + 5)
    unwinding.record_refund(desk.session, TREASURY, order.id, rail_reference="7")
    found: list[BankStatement] = []
    for day in ("2026-07-14", "2026-07-14", "2026-07-15"):
        entry = camt_entry("7", -5, day=day, name="NtryRef")
        found.append(read(desk, camt(len(found), entry, closing=len(found) - 5, day=day)))

    assert [outcomes(desk, row)[0] for row in found] == ["KNOWN", "KNOWN", "UNKNOWN"]


def test_import__names_the_order_of_what_a_notice_told_without__uses_it(
    desk: Desk, order: Order
) -> None:
    payment = book_receipt(desk.session, BANK, Receipt("A", None, 70, now()))
    payment.proposed_order_id, payment.proposed_by = order.id, TREASURY.subject
    entry = camt_entry("A", 70, said=f"flat {order.reference}")

    row = read(desk, camt(0, entry, closing=70))
    again = read(desk, camt(0, entry, camt_entry("B", 1), closing=71))

    assert outcomes(desk, row) == [LineOutcome.KNOWN]
    assert outcomes(desk, again) == [LineOutcome.KNOWN, LineOutcome.BOOKED]
    assert standing_of(desk.session, order.id) == Standing(held=70)
    assert (payment.state, payment.order_id) == (PaymentState.ALLOCATED, order.id)
    assert payment.order_reference == order.reference
    assert payment.proposed_order_id is None
    assert ledger.balance_of(desk.session, Account.UNALLOCATED) == -1
    assert ledger.balance_of(desk.session, Account.BANK) == 71


@pytest.mark.parametrize("told_by", ["statement", "notice"])
def test_told_again__names_the_order_that_one_of_two_was_assigned_to__uses_no_other(
    desk: Desk, order: Order, told_by: str
) -> None:
    price = order.amount_paisa
    read(desk, camt(0, *[camt_entry("A", price)] * 2, closing=2 * price))
    first, second = (
        desk.session.exec(select(Payment).where(Payment.rail_reference == name)).one()
        for name in ("A", "A#2")
    )
    allocating.assign_payment(desk.session, TREASURY, first.id, order.id)

    if told_by == "statement":
        named = camt_entry("A", price, said=order.reference)
        row = read(desk, camt(0, camt_entry("A", price), named, closing=2 * price))
        assert outcomes(desk, row) == [LineOutcome.KNOWN, LineOutcome.KNOWN]
    else:
        told = Receipt("A", order.reference, price, now())
        assert book_receipt(desk.session, BANK, told).id == first.id

    assert standing_of(desk.session, order.id) == Standing(held=price)
    assert (second.state, second.order_id) == (PaymentState.UNALLOCATED, None)


def test_import__numbered_and_assigned_then_told_with_other_words__is_known_not_new(
    desk: Desk, order: Order
) -> None:
    price = order.amount_paisa
    read(desk, camt(0, camt_entry("7", price, name="NtryRef"), closing=price))
    payment = desk.session.exec(select(Payment)).one()
    allocating.assign_payment(desk.session, TREASURY, payment.id, order.id)

    entry = camt_entry("7", price, said="MLK000000000000", name="NtryRef")
    row = read(desk, camt(0, entry, closing=price))

    assert outcomes(desk, row) == [LineOutcome.KNOWN]
    assert ledger.balance_of(desk.session, Account.BANK) == price


def test_receive__notice_names_the_order_of_a_line_without__uses_it(
    desk: Desk, order: Order
) -> None:
    entry = camt_entry("7", order.amount_paisa, name="NtryRef")
    read(desk, camt(0, entry, closing=order.amount_paisa))
    told = Receipt("7", order.reference, order.amount_paisa, datetime(2026, 7, 15, tzinfo=UTC))

    found = [book_receipt(desk.session, BANK, told) for _ in range(2)]

    assert {row.order_id for row in found} == {order.id}
    assert order.state == OrderState.PAID
    assert ledger.balance_of(desk.session, Account.BANK) == order.amount_paisa


def test_receive__names_an_order_after_the_money_was_returned__stays_so(
    desk: Desk, order: Order
) -> None:
    payment = book_receipt(desk.session, BANK, Receipt("A", None, 70, now()))
    allocating.return_payment(desk.session, TREASURY, payment.id, rail_reference="OUT-7")

    again = book_receipt(desk.session, BANK, Receipt("A", order.reference, 70, now()))

    assert (again.state, again.order_id) == (PaymentState.RETURNED, None)
    assert standing_of(desk.session, order.id) == Standing()


def test_import__file_that_begins_later__books_the_earlier_line_alone(
    desk: Desk, order: Order
) -> None:
    lines = [("A", 70, "", "", ""), ("A", 50, order.reference, "", "")]
    days = ["2026-07-14", "2026-07-15"]
    first = read(desk, csv_file(70, lines[1], days=days[1:]))

    week = read(desk, csv_file(0, *lines, days=days))

    booked, known = LineOutcome.BOOKED, LineOutcome.KNOWN
    assert (outcomes(desk, first), outcomes(desk, week)) == ([booked], [booked, known])
    assert standing_of(desk.session, order.id) == Standing(held=50)
    assert ledger.balance_of(desk.session, Account.BANK) == 120
    again = book_receipt(desk.session, BANK, Receipt("A", None, 70, now()))
    assert again.rail_reference == "A#2"
    assert ledger.balance_of(desk.session, Account.BANK) == 120


def test_import__a_day_told_otherwise_before__differs(desk: Desk) -> None:
    read(desk, csv_file(0, ("A", 70, "", "", "")))

    row = read(desk, csv_file(0, ("A", 71, "", "", ""), ("B", 1, "", "", "")))

    assert outcomes(desk, row) == [LineOutcome.DIFFERS, LineOutcome.BOOKED]


def test_import__days_that_do_not_follow__shows_the_gap(desk: Desk) -> None:
    first = read(desk, camt(0, camt_entry("A", 70), closing=70))
    second = read(desk, camt(75, camt_entry("B", 5), closing=80))

    assert (first.gap_paisa, second.gap_paisa) == (None, 5)


def test_import__two_days_at_once__follow_one_another(fresh_database: Database) -> None:
    first = camt(0, camt_entry("A", 70), closing=70)
    second = camt(70, camt_entry("B", 5, day="2026-07-16"), closing=75, day="2026-07-16")

    def next_day(session: Session) -> BankStatement:
        return statements.import_statement(session, TREASURY, second)[0]

    with fresh_database.transaction() as session:
        statements.import_statement(session, TREASURY, first)
        with meanwhile(fresh_database, next_day) as told:
            session.commit()
        assert told.result().gap_paisa == 0


def test_import__contradicts_itself__books_nothing(desk: Desk, order: Order) -> None:
    content = camt(0, camt_entry("A", 70, said=order.reference), closing=71)

    with pytest.raises(Invalid, match="statement_does_not_add_up"):
        read(desk, content)

    assert standing_of(desk.session, order.id) == Standing()
    assert desk.session.exec(select(BankStatement)).all() == []


def test_import__told_by_notice_and_statement_at_one_moment__is_booked_once(
    fresh_database: Database, vault: object, store: object
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)  # type: ignore[arg-type]
        market = open_market(desk)
        order = sales.order(desk, market.sale, market.buyer)
    content = camt(0, camt_entry("A", 70, said=order.reference), closing=70)

    found = together(
        fresh_database,
        [
            lambda session: sales.pay_in(session, order, 70, reference="A"),
            lambda session: statements.import_statement(session, TREASURY, content),
            lambda session: sales.pay_in(session, order, 70, reference="A"),
            lambda session: statements.import_statement(session, TREASURY, content),
        ],
    )

    assert [item for item in found if isinstance(item, Exception)] == []
    with fresh_database.reading() as reader:
        assert standing_of(reader, order.id) == Standing(held=70)
        assert ledger.balance_of(reader, Account.BANK) == 70
        assert len(reader.exec(select(BankStatement)).all()) == 1


def test_receive__names_the_order_while_treasury_assigns_it__is_used_once(
    fresh_database: Database, vault: Vault, store: DocumentStore
) -> None:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, store)
        market = open_market(desk)
        order = sales.order(desk, market.sale, market.buyer)
        payment = book_receipt(session, BANK, Receipt("A", None, order.amount_paisa, now()))
    told = Receipt("A", order.reference, order.amount_paisa, now())

    found = together(
        fresh_database,
        [
            lambda session: book_receipt(session, BANK, told),
            lambda session: allocating.assign_payment(session, TREASURY, payment.id, order.id),
            lambda session: book_receipt(session, BANK, told),
        ],
    )

    refused = [item for item in found if isinstance(item, Exception)]
    assert [type(item) for item in refused] in ([], [Conflict])
    with fresh_database.reading() as reader:
        assert standing_of(reader, order.id) == Standing(held=order.amount_paisa)

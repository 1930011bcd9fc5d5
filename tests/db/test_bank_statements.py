"""Statements of the bank: what they bring that nobody told us, and what we cannot place."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sqlmodel import Session, col, select

from registry.document.store import DocumentStore
from registry.kernel.actor import Actor, Role
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.kernel.vault import Vault
from registry.ledger import service as ledger
from registry.ledger.models import Account
from registry.offering import minting, orders, unwinding
from registry.offering.models import Offering, Order, OrderState, Payment, PaymentState
from registry.offering.money import Standing, standing_of
from registry.payment import allocating, payouts, statements
from registry.payment.models import (
    BankStatement,
    BankStatementLine,
    LineOutcome,
    ProceedsPayoutState,
)
from registry.payment.rails import BANK, Receipt, Reversal
from registry.payment.receiving import book_receipt
from registry.payment.reversing import reverse_receipt
from registry.redemption.repository import list_payouts
from registry.tokenization import service as tokenizations
from tests import factories as make
from tests import redemptions, sales
from tests.db.races import meanwhile, together
from tests.db.stage import Stage, StageMaker
from tests.factories import ACTORS, Buyer, Desk
from tests.statements import camt, camt_entry, csv_file

pytestmark = pytest.mark.db

TREASURY = ACTORS[Role.TREASURY]
COLLEAGUE = Actor("the-other-treasury", frozenset({Role.TREASURY}))


@dataclass(frozen=True)
class Market:
    sale: Offering
    buyer: Buyer


def open_market(desk: Desk) -> Market:
    return Market(sales.offering(desk, sales.wrapped_apartment(desk)), make.buyer(desk))


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
def order(desk: Desk, market: Market) -> Order:
    return sales.order(desk, market.sale, market.buyer)


def read(desk: Desk, content: bytes) -> BankStatement:
    return statements.import_statement(desk.session, TREASURY, content)[0]


def outcomes(desk: Desk, row: BankStatement) -> list[LineOutcome]:
    lines = statements.list_lines(desk.session, row.id, outcome=None, after=0, limit=99)
    return [line.outcome for line in lines]


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


def test_import__one_refund_that_left_twice__differs(desk: Desk, order: Order) -> None:
    sales.pay(desk, order, order.amount_paisa + 5)
    unwinding.record_refund(desk.session, TREASURY, order.id, rail_reference="BACK-9")
    left = ("BACK-9", -5, "", "", "")

    row = read(desk, csv_file(10, left, left))

    assert outcomes(desk, row) == [LineOutcome.KNOWN, LineOutcome.DIFFERS]


def numbered(order: Order, number: str, day: str, *, statement: str, paisa: int = 70) -> bytes:
    """Write a statement whose one entry has only a number (NtryRef)."""
    entry = camt_entry(number, paisa, said=order.reference, day=day, name="NtryRef")
    content = camt(0, entry, closing=paisa, day=day)
    return content.replace(b"<Stmt>", b"<Stmt><Id>%s</Id>" % statement.encode())


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


def test_import__names_the_order_and_takes_the_money_back__ends_with_nothing(
    desk: Desk, order: Order
) -> None:
    book_receipt(desk.session, BANK, Receipt("A", None, 70, now()))
    came = camt_entry("A", 70, said=order.reference)

    row = read(desk, camt(0, came, camt_entry("A", -70, reversal=True), closing=0))

    assert outcomes(desk, row) == [LineOutcome.KNOWN, LineOutcome.BOOKED]
    assert standing_of(desk.session, order.id) == Standing()
    assert ledger.balance_of(desk.session, Account.UNALLOCATED) == 0


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


def test_import__days_that_do_not_follow__shows_the_gap(desk: Desk) -> None:
    first = read(desk, camt(0, camt_entry("A", 70), closing=70))
    second = read(desk, camt(75, camt_entry("B", 5), closing=80))

    assert (first.gap_paisa, second.gap_paisa) == (None, 5)


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


# Payouts of what a sale has brought


@pytest.fixture
def settled(desk: Desk, market: Market, order: Order) -> Order:
    sales.pay(desk, order)
    order.state = OrderState.MINTING
    desk.session.flush()
    minting.settle_orders(desk.session, [order.id])
    desk.session.refresh(order)
    sales.let_live(desk, market.sale)
    return order


def test_payout__two_people__pays_the_issuer_once(
    desk: Desk, market: Market, settled: Order
) -> None:
    sale, price = market.sale, settled.amount_paisa
    assert payouts.payable_of(desk.session, sale.id) == price
    payout = payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=price)

    with pytest.raises(Forbidden, match="checker_is_maker"):
        payouts.confirm_payout(desk.session, TREASURY, payout.id, rail_reference="OUT-1")
    payouts.confirm_payout(desk.session, COLLEAGUE, payout.id, rail_reference="OUT-1")

    assert (payout.state, payouts.payable_of(desk.session, sale.id)) == (
        ProceedsPayoutState.PAID,
        0,
    )
    assert ledger.balance_of(desk.session, Account.SALE_PROCEEDS, sale.id) == 0
    assert ledger.balance_of(desk.session, Account.BANK) == 0
    with pytest.raises(Conflict, match="payout_decided"):
        payouts.confirm_payout(desk.session, COLLEAGUE, payout.id, rail_reference="OUT-2")
    row = read(desk, csv_file(price, ("OUT-1", -price, "", "", "")))
    assert outcomes(desk, row) == [LineOutcome.KNOWN]


def test_payout__more_than_there_is_or_is_proposed__is_refused(
    desk: Desk, market: Market, settled: Order
) -> None:
    sale, price = market.sale, settled.amount_paisa
    with pytest.raises(Conflict, match="payout_exceeds_proceeds"):
        payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=price + 1)
    with pytest.raises(Invalid, match="payout_amount_zero"):
        payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=0)
    first = payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=price - 1)
    with pytest.raises(Conflict, match="payout_exceeds_proceeds"):
        payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=2)

    payouts.reject_payout(desk.session, TREASURY, first.id, reason="Wrong account")

    second = payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=price)
    assert [row.state for row in payouts.list_payouts(desk.session, sale.id)] == [
        ProceedsPayoutState.REJECTED,
        ProceedsPayoutState.PROPOSED,
    ]
    third = payouts.propose_payout
    with pytest.raises(Conflict, match="payout_exceeds_proceeds"):
        third(desk.session, TREASURY, sale.id, amount_paisa=1)
    assert second.amount_paisa == price


def test_payout__what_a_buyer_owes__is_kept_back(
    desk: Desk, market: Market, settled: Order
) -> None:
    sale, price = market.sale, settled.amount_paisa
    payout = payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=price)
    payment = desk.session.exec(select(Payment)).one()
    told = Reversal("REV", payment.rail_reference, price, now())
    reverse_receipt(desk.session, BANK, told)

    with pytest.raises(Conflict, match="payout_exceeds_proceeds"):
        payouts.confirm_payout(desk.session, COLLEAGUE, payout.id, rail_reference="OUT-1")

    sales.pay(desk, settled, price)
    payouts.confirm_payout(desk.session, COLLEAGUE, payout.id, rail_reference="OUT-1")
    assert payout.state == ProceedsPayoutState.PAID


def test_payout__reference_of_another_transfer__is_refused(
    desk: Desk, market: Market, settled: Order
) -> None:
    sale = market.sale
    halves = [
        payouts.propose_payout(desk.session, TREASURY, sale.id, amount_paisa=1) for _ in range(2)
    ]
    reference = secrets.token_hex(4)
    payouts.confirm_payout(desk.session, COLLEAGUE, halves[0].id, rail_reference=reference)

    with pytest.raises(Conflict, match="payout_reference_reused"):
        payouts.confirm_payout(desk.session, COLLEAGUE, halves[1].id, rail_reference=reference)
    assert settled.state == OrderState.SETTLED

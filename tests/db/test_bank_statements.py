"""Statements of the bank: what they bring that nobody told us, and what we cannot place."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlmodel import Session, select

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
from registry.payment import payouts, statements
from registry.payment.models import BankStatement, LineOutcome, ProceedsPayoutState
from registry.payment.rails import BANK, Reversal
from registry.payment.reversing import reverse_receipt
from registry.tokenization import service as tokenizations
from tests import factories as make
from tests import sales
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


def test_import__entries_that_are_only_numbered__are_of_their_own_statements(
    desk: Desk, order: Order
) -> None:
    for number in range(2):
        content = camt(
            70 * number, camt_entry("1", 70, said=order.reference), closing=70 + 70 * number
        )
        content = content.replace(b"AcctSvcrRef", b"NtryRef")
        row = read(desk, content.replace(b"<Stmt>", b"<Stmt><Id>S-%d</Id>" % number))
        assert outcomes(desk, row) == [LineOutcome.BOOKED]

    assert standing_of(desk.session, order.id) == Standing(held=140)


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


# Payouts of what a sale has brought


@pytest.fixture
def settled(desk: Desk, order: Order) -> Order:
    sales.pay(desk, order)
    order.state = OrderState.MINTING
    desk.session.flush()
    minting.settle_orders(desk.session, [order.id])
    desk.session.refresh(order)
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

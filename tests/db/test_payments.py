"""Money that comes: exact, too little, too much, too late, of nobody, twice, and taken back."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlmodel import Session, col, select

from registry.journal.models import JournalEntry
from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.ledger import service as ledger
from registry.ledger.models import Account
from registry.notice.models import Notice
from registry.offering import leaving, minting, unwinding
from registry.offering import service as offerings
from registry.offering.models import Offering, Order, OrderState, Payment, PaymentState
from registry.offering.money import Standing, fault_of, standing_of
from registry.payment import allocating
from registry.payment.rails import BANK, ONCHAIN, Receipt, Reversal, masked_payer
from registry.payment.receiving import Verdict, book_receipt, book_receipts
from registry.payment.reversing import reverse_receipt
from tests import factories as make
from tests import sales
from tests.db.stage import Stage, StageMaker
from tests.factories import ACTORS, COMPLIANCE, Buyer, Desk

pytestmark = pytest.mark.db

TREASURY = ACTORS[Role.TREASURY]
COLLEAGUE = make.actor(Role.TREASURY, subject="the-other-treasury")


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
def sale(stage: Stage[Market], session: Session) -> Offering:
    return stage.on(session).sale


@pytest.fixture
def buyer(stage: Stage[Market], session: Session) -> Buyer:
    return stage.on(session).buyer


@pytest.fixture
def order(desk: Desk, sale: Offering, buyer: Buyer) -> Order:
    return sales.order(desk, sale, buyer)


def standing(desk: Desk, order: Order) -> Standing:
    """Say how an order stands, after holding it against its state and the whole ledger."""
    desk.session.flush()
    found = standing_of(desk.session, order.id)
    assert fault_of(order, found) is None
    books = ledger.trial_balance(desk.session)
    assert books.debits == books.credits
    return found


def assert_is(order: Order, state: OrderState) -> None:
    assert order.state == state


def pay(desk: Desk, order: Order, paisa: int, reference: str | None = None) -> Payment:
    return sales.pay_in(desk.session, order, paisa, reference=reference)


def refund(desk: Desk, order: Order, paisa: int | None = None, reference: str = "") -> Order:
    return unwinding.record_refund(
        desk.session,
        TREASURY,
        order.id,
        rail_reference=reference or secrets.token_hex(8),
        amount_paisa=paisa,
    )


def reverse(desk: Desk, payment: Payment, paisa: int | None = None) -> Payment:
    taken = payment.amount_paisa if paisa is None else paisa
    reversal = Reversal(f"REV-{payment.rail_reference}", payment.rail_reference, taken, now())
    return reverse_receipt(desk.session, BANK, reversal)


def receipt(said: str | None, paisa: int, reference: str = "TX-1") -> Receipt:
    return Receipt(reference, said, paisa, now())


def close(desk: Desk, sale: Offering) -> None:
    offerings.close_and_mint(desk.session, COMPLIANCE, sale.tokenization_id)


# Amounts


def test_pay__exact_amount__pays_the_order(desk: Desk, order: Order) -> None:
    payment = pay(desk, order, order.amount_paisa)

    assert (order.state, payment.state) == (OrderState.PAID, PaymentState.ALLOCATED)
    assert payment.order_reference == order.reference
    assert standing(desk, order) == Standing(held=order.amount_paisa)
    assert ledger.balance_of(desk.session, Account.BANK) == order.amount_paisa


def test_pay__too_little__is_held_until_the_rest_comes(desk: Desk, order: Order) -> None:
    pay(desk, order, order.amount_paisa - 1)
    assert_is(order, OrderState.AWAITING_PAYMENT)
    assert standing(desk, order) == Standing(held=order.amount_paisa - 1)

    pay(desk, order, 1)
    assert_is(order, OrderState.PAID)
    assert standing(desk, order) == Standing(held=order.amount_paisa)


def test_pay__too_much__is_paid_and_the_excess_goes_back(desk: Desk, order: Order) -> None:
    pay(desk, order, order.amount_paisa + 7)

    assert order.state == OrderState.PAID
    assert standing(desk, order) == Standing(held=order.amount_paisa, due=7)
    refund(desk, order)
    assert order.state == OrderState.PAID
    assert standing(desk, order) == Standing(held=order.amount_paisa, refunded=7)


def test_pay__second_payment_of_a_paid_order__goes_back(desk: Desk, order: Order) -> None:
    pay(desk, order, order.amount_paisa)
    pay(desk, order, order.amount_paisa)

    assert standing(desk, order) == Standing(held=order.amount_paisa, due=order.amount_paisa)


@pytest.mark.parametrize(
    ("paisa", "code"),
    [(0, "payment_amount_zero"), (-1, "payment_amount_zero"), (10**18, "payment_amount_too_large")],
)
def test_pay__no_amount__is_refused(desk: Desk, order: Order, paisa: int, code: str) -> None:
    with pytest.raises(Invalid, match=code):
        pay(desk, order, paisa)

    assert desk.session.exec(select(Payment)).all() == []


# Too late


def test_cancel__partly_paid__has_it_go_back(desk: Desk, order: Order, buyer: Buyer) -> None:
    pay(desk, order, 100)

    leaving.cancel_order(desk.session, buyer.actor, order.id)

    assert_is(order, OrderState.REFUND_DUE)
    assert standing(desk, order) == Standing(due=100)
    refund(desk, order, 60)
    assert_is(order, OrderState.REFUND_DUE)
    refund(desk, order)
    assert_is(order, OrderState.REFUNDED)
    assert standing(desk, order) == Standing(refunded=100)


def test_pay__cancelled_order__all_of_it_goes_back(
    desk: Desk, sale: Offering, order: Order, buyer: Buyer
) -> None:
    leaving.cancel_order(desk.session, buyer.actor, order.id)

    pay(desk, order, order.amount_paisa)

    assert (order.state, sale.reserved_units) == (OrderState.REFUND_DUE, 0)
    assert standing(desk, order) == Standing(due=order.amount_paisa)


def test_pay__sale_closed__all_of_it_goes_back(desk: Desk, sale: Offering, order: Order) -> None:
    pay(desk, order, 5)
    close(desk, sale)

    assert standing(desk, order) == Standing(due=5)
    pay(desk, order, order.amount_paisa - 5)
    assert standing(desk, order) == Standing(due=order.amount_paisa)


# Of nobody


@pytest.mark.parametrize(
    "written", ["{0}", " {0} ", "{1}", "for flat 7: {1}, thank you", "{2}", "{3}"]
)
def test_pay__reference_as_people_write_it__is_read(desk: Desk, order: Order, written: str) -> None:
    reference = order.reference
    spaced = " ".join(reference[place : place + 4] for place in range(0, len(reference), 4))
    said = written.format(reference, spaced, spaced.lower().replace(" ", "-"), reference.lower())

    payment = book_receipt(desk.session, BANK, receipt(said, order.amount_paisa))

    assert payment.order_id == order.id


@pytest.mark.parametrize("said", [None, "rent", "MLK0", "MLK000000000000"])
def test_pay__unknown_reference__is_kept_apart(desk: Desk, said: str | None) -> None:
    payment = book_receipt(desk.session, BANK, receipt(said, 500))

    assert (payment.state, payment.order_id) == (PaymentState.UNALLOCATED, None)
    assert ledger.balance_of(desk.session, Account.UNALLOCATED, payment.id) == -500


def test_pay__two_references_in_one_text__is_left_to_a_person(
    desk: Desk, sale: Offering, buyer: Buyer, order: Order
) -> None:
    other = sales.order(desk, sale, buyer)
    said = f"{order.reference} and {other.reference}"

    payment = book_receipt(desk.session, BANK, receipt(said, 500))

    assert payment.state == PaymentState.UNALLOCATED


def mistyped(reference: str) -> str:
    return reference[:5] + ("0" if reference[5] != "0" else "1") + reference[6:]


def test_unallocated__mistyped__suggests_its_order_first(
    desk: Desk, sale: Offering, order: Order
) -> None:
    sales.order(desk, sale, make.buyer(desk))

    payment = book_receipt(
        desk.session, BANK, receipt(mistyped(order.reference), order.amount_paisa)
    )

    assert payment.state == PaymentState.UNALLOCATED
    found = allocating.suggest_orders(desk.session, payment)
    assert found[0] == order
    assert len(found) == 2, "the other one has the same price"


def test_unallocated__assigned__is_used_for_the_order_once(desk: Desk, order: Order) -> None:
    payment = book_receipt(
        desk.session, BANK, receipt(mistyped(order.reference), order.amount_paisa + 3)
    )

    allocating.assign_payment(desk.session, TREASURY, payment.id, order.id)

    assert (order.state, payment.order_id) == (OrderState.PAID, order.id)
    assert standing(desk, order) == Standing(held=order.amount_paisa, due=3)
    assert ledger.balance_of(desk.session, Account.UNALLOCATED) == 0
    with pytest.raises(Conflict, match="payment_not_unallocated"):
        allocating.assign_payment(desk.session, TREASURY, payment.id, order.id)


def test_unallocated__assigned_to_an_order_that_nothing_points_to__takes_two_people(
    desk: Desk, order: Order, sale: Offering
) -> None:
    payment = book_receipt(desk.session, BANK, receipt(None, order.amount_paisa + 3))
    friends = sales.order(desk, sale, make.buyer(desk))

    allocating.assign_payment(desk.session, TREASURY, payment.id, friends.id)
    assert (payment.state, friends.state) == (PaymentState.UNALLOCATED, OrderState.AWAITING_PAYMENT)
    with pytest.raises(Forbidden, match="checker_is_maker"):
        allocating.assign_payment(desk.session, TREASURY, payment.id, friends.id)

    # Somebody who knows better begins anew.
    allocating.assign_payment(desk.session, COLLEAGUE, payment.id, order.id)
    assert (payment.proposed_order_id, payment.proposed_by) == (order.id, COLLEAGUE.subject)
    allocating.assign_payment(desk.session, TREASURY, payment.id, order.id)

    assert (payment.state, payment.order_id) == (PaymentState.ALLOCATED, order.id)
    assert standing(desk, order) == Standing(held=order.amount_paisa, due=3)
    acts = select(JournalEntry).where(JournalEntry.act == "payment_assignment_proposed")
    assert [entry.facts["order"] for entry in desk.session.exec(acts)] == [
        str(friends.id), str(order.id),
    ]  # fmt: skip


def test_unallocated__assigned_to_no_order__is_not_found(desk: Desk) -> None:
    payment = book_receipt(desk.session, BANK, receipt(None, 5))

    with pytest.raises(NotFound, match="order"):
        allocating.assign_payment(desk.session, TREASURY, payment.id, payment.id)
    assert payment.state == PaymentState.UNALLOCATED


def test_unallocated__returned__leaves_the_bank_once(desk: Desk) -> None:
    payment = book_receipt(desk.session, BANK, receipt(None, 500))
    other = book_receipt(desk.session, BANK, receipt(None, 500, "TX-2"))

    allocating.return_payment(desk.session, TREASURY, payment.id, rail_reference="BACK-1")

    assert payment.state == PaymentState.RETURNED
    assert ledger.balance_of(desk.session, Account.BANK) == 500
    with pytest.raises(Conflict, match="payment_not_unallocated"):
        allocating.return_payment(desk.session, TREASURY, payment.id, rail_reference="BACK-2")
    with pytest.raises(Conflict, match="refund_reference_reused"):
        allocating.return_payment(desk.session, TREASURY, other.id, rail_reference="BACK-1")


# Told twice


def test_pay__told_again__changes_nothing(desk: Desk, order: Order) -> None:
    first = pay(desk, order, order.amount_paisa, "TX-1")

    again = pay(desk, order, order.amount_paisa, "TX-1")
    without_words = book_receipt(desk.session, BANK, receipt(None, order.amount_paisa))

    assert again is first is without_words
    assert standing(desk, order) == Standing(held=order.amount_paisa)


def test_pay__same_reference_other_facts__is_refused_and_nothing_booked(
    desk: Desk, sale: Offering, buyer: Buyer, order: Order
) -> None:
    other = sales.order(desk, sale, buyer)
    pay(desk, order, order.amount_paisa, "TX-1")

    with pytest.raises(Conflict, match="payment_reference_reused"):
        pay(desk, order, order.amount_paisa + 1, "TX-1")
    with pytest.raises(Conflict, match="payment_reference_reused"):
        pay(desk, other, order.amount_paisa, "TX-1")

    assert standing(desk, other) == Standing()
    assert len(desk.session.exec(select(Payment)).all()) == 1


def test_pay__many_at_once__each_is_booked_once_in_its_turn(
    desk: Desk, sale: Offering, buyer: Buyer, order: Order
) -> None:
    other = sales.order(desk, sale, buyer)
    told = [
        receipt(order.reference, 100, "B"),
        receipt(other.reference, other.amount_paisa, "A"),
        receipt(order.reference, 100, "B"),
        receipt(order.reference, 101, "B"),
        receipt(order.reference, order.amount_paisa, "C"),
        receipt("what for", 9, "D"),
    ]

    answers = book_receipts(desk.session, BANK, told)

    booked, known, differs = Verdict.BOOKED, Verdict.KNOWN, Verdict.DIFFERS
    said = [booked, booked, known, differs, booked, booked]
    assert [answer.verdict for answer in answers] == said
    assert standing(desk, order) == Standing(held=order.amount_paisa, due=100)
    assert standing(desk, other) == Standing(held=other.amount_paisa)


# Taken back


def test_reverse__before_the_mint__waits_for_money_again(desk: Desk, order: Order) -> None:
    payment = pay(desk, order, order.amount_paisa)

    reverse(desk, payment)

    assert (order.state, payment.state) == (OrderState.AWAITING_PAYMENT, PaymentState.REVERSED)
    assert standing(desk, order) == Standing()
    assert ledger.balance_of(desk.session, Account.BANK) == 0
    assert reverse(desk, payment) is payment
    pay(desk, order, order.amount_paisa)
    assert order.state == OrderState.PAID


def test_reverse__time_to_pay_is_over__begins_anew_once(
    desk: Desk, sale: Offering, order: Order
) -> None:
    assert sale.payment_hours is not None
    hours = timedelta(hours=sale.payment_hours)

    def pass_time() -> None:
        assert order.pay_until is not None
        order.recorded_at -= 2 * hours
        order.pay_until -= 2 * hours
        desk.session.flush()

    first = pay(desk, order, order.amount_paisa)
    pass_time()
    reverse(desk, first)

    assert order.pay_until is not None
    assert abs(order.pay_until - now() - hours) < timedelta(minutes=1)
    assert leaving.list_unpaid(desk.session) == []
    told = desk.session.exec(
        select(Notice).where(Notice.kind == "order.awaiting_payment").order_by(col(Notice.id))
    ).all()[-1]
    assert datetime.fromisoformat(told.facts["pay_until"]) == order.pay_until
    second = pay(desk, order, order.amount_paisa)
    pass_time()
    reverse(desk, second)
    assert leaving.list_unpaid(desk.session) == [order.id]


def test_reverse__shortly_before_the_time_to_pay_is_over__begins_anew(
    desk: Desk, sale: Offering, order: Order
) -> None:
    assert sale.payment_hours is not None
    assert order.pay_until is not None
    hours = timedelta(hours=sale.payment_hours)
    payment = pay(desk, order, order.amount_paisa)
    passed = hours - timedelta(seconds=30)
    order.recorded_at -= passed
    order.pay_until -= passed
    desk.session.flush()

    reverse(desk, payment)

    assert order.pay_until is not None
    assert abs(order.pay_until - now() - hours) < timedelta(seconds=20)


def test_reverse__of_a_part_of_the_price__gives_no_more_time(desk: Desk, order: Order) -> None:
    until = order.pay_until

    reverse(desk, pay(desk, order, 40))

    assert (order.state, order.pay_until) == (OrderState.AWAITING_PAYMENT, until)


def test_reverse__by_whoever_has_not_read_the_sale__tells_the_new_time_to_pay(
    desk: Desk, sale: Offering, order: Order
) -> None:
    assert sale.payment_hours is not None
    assert order.pay_until is not None
    hours = timedelta(hours=sale.payment_hours)
    payment = pay(desk, order, order.amount_paisa)
    order.recorded_at -= 2 * hours
    order.pay_until -= 2 * hours
    desk.session.flush()
    desk.session.expunge_all()  # a notice of the bank begins a session of its own

    reverse(desk, payment)

    again = desk.session.get_one(Order, order.id)
    assert again.pay_until is not None
    assert again.pay_until > now()
    told = desk.session.exec(
        select(Notice).where(Notice.kind == "order.awaiting_payment").order_by(col(Notice.id))
    ).all()[-1]
    assert datetime.fromisoformat(told.facts["pay_until"]) == again.pay_until


def test_reverse__long_after_the_time_of_the_sale__begins_anew(
    desk: Desk, sale: Offering, order: Order
) -> None:
    assert sale.payment_hours is not None
    hours = timedelta(hours=sale.payment_hours)
    payment = pay(desk, order, order.amount_paisa)
    order.recorded_at -= 2 * hours
    order.pay_until = order.recorded_at + hours
    sale.closes_at = now() - 2 * hours  # as while a review of who has paid is open
    desk.session.flush()

    reverse(desk, payment)

    assert abs(order.pay_until - now() - hours) < timedelta(minutes=1)


def test_reverse__with_an_excess__takes_the_excess_first(desk: Desk, order: Order) -> None:
    first = pay(desk, order, order.amount_paisa)
    pay(desk, order, 40)

    reverse(desk, first)

    assert order.state == OrderState.AWAITING_PAYMENT
    assert standing(desk, order) == Standing(held=40)


def minting_order(desk: Desk, order: Order) -> Payment:
    payment = pay(desk, order, order.amount_paisa)
    order.state = OrderState.MINTING
    desk.session.flush()
    return payment


def test_reverse__while_it_is_minted__is_owed_and_nothing_is_lost(
    desk: Desk, sale: Offering, order: Order
) -> None:
    payment = minting_order(desk, order)

    reverse(desk, payment)
    owes = Standing(held=order.amount_paisa, owed=order.amount_paisa)
    assert (order.state, standing(desk, order)) == (OrderState.MINTING, owes)
    minting.settle_orders(desk.session, [order.id])
    desk.session.refresh(order)

    assert order.state == OrderState.SETTLED
    owes = Standing(settled=order.amount_paisa, owed=order.amount_paisa)
    assert standing(desk, order) == owes
    assert ledger.balance_of(desk.session, Account.SALE_PROCEEDS, sale.id) == -order.amount_paisa
    acts = [row.act for row in desk.session.exec(select(JournalEntry)).all()]
    assert acts.count("receivable_arisen") == 1
    assert ledger.owed_by_subject(desk.session, Account.RECEIVABLE, after=None, limit=9) == [
        (order.id, order.amount_paisa)
    ]


def test_pay__what_is_owed__comes_first(desk: Desk, order: Order) -> None:
    reverse(desk, minting_order(desk, order))

    pay(desk, order, order.amount_paisa + 2)

    assert standing(desk, order) == Standing(held=order.amount_paisa, due=2)


def test_reverse__of_what_was_refunded__is_owed(desk: Desk, order: Order, buyer: Buyer) -> None:
    leaving.cancel_order(desk.session, buyer.actor, order.id)
    payment = pay(desk, order, 500)
    refund(desk, order)

    reverse(desk, payment)

    assert order.state == OrderState.REFUNDED
    assert standing(desk, order) == Standing(owed=500, refunded=500)


def test_reverse__of_what_was_to_go_back__ends_the_failed_sale(
    desk: Desk, sale: Offering, order: Order
) -> None:
    sale.minimum_units = 500
    payment = pay(desk, order, order.amount_paisa)
    token = unwinding.unwind_offering(
        desk.session, COMPLIANCE, sale.tokenization_id, reason="Too few buyers"
    )
    assert token.state == "UNWINDING"

    reverse(desk, payment)

    assert (order.state, token.state) == (OrderState.CANCELLED, "CANCELLED")
    assert standing(desk, order) == Standing()


def test_reverse__of_nobodys_money__leaves_the_bank(desk: Desk) -> None:
    kept = book_receipt(desk.session, BANK, receipt(None, 500, "TX-1"))
    gone = book_receipt(desk.session, BANK, receipt(None, 300, "TX-2"))
    allocating.return_payment(desk.session, TREASURY, gone.id, rail_reference="BACK-1")

    reverse(desk, kept)
    reverse(desk, gone)

    assert ledger.balance_of(desk.session, Account.UNALLOCATED) == 0
    assert ledger.balance_of(desk.session, Account.RECEIVABLE, gone.id) == 300
    assert ledger.balance_of(desk.session, Account.BANK) == -300


def test_reverse__of_another_amount_or_nothing__is_refused(desk: Desk, order: Order) -> None:
    payment = pay(desk, order, 500)

    with pytest.raises(Conflict, match="reversal_amount_differs"):
        reverse(desk, payment, 499)
    with pytest.raises(NotFound, match="payment"):
        reverse_receipt(desk.session, BANK, Reversal("R", "never told", 5, now()))
    with pytest.raises(Conflict, match="payment_not_reversible"):
        reverse_receipt(desk.session, ONCHAIN, Reversal("R", payment.rail_reference, 500, now()))
    assert standing(desk, order) == Standing(held=500)


# Sent back


def test_refund__more_than_is_due__is_refused(desk: Desk, order: Order) -> None:
    pay(desk, order, order.amount_paisa + 7)

    with pytest.raises(Conflict, match="refund_exceeds_due"):
        refund(desk, order, 8)
    with pytest.raises(Invalid, match="refund_amount_zero"):
        refund(desk, order, 0)
    refund(desk, order, 3, "BACK-1")
    with pytest.raises(Conflict, match="refund_reference_reused"):
        refund(desk, order, 3, "BACK-1")
    assert standing(desk, order).due == 4


def test_payer__masked__keeps_first_letters_and_no_number() -> None:
    assert masked_payer("Ayesha Khan 35202-1234567-1") == "A*** K*** ****"
    assert masked_payer("PK36SCBL0000001123456702") == "****"

"""What is owed since the bank took back money that had been returned, and how it is made good."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlmodel import select

from registry.journal.models import JournalEntry
from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden, NotFound
from registry.kernel.ids import new_id
from registry.ledger import service as ledger
from registry.ledger.models import Account
from registry.offering.models import Payment, PaymentState
from registry.payment import allocating
from registry.payment.rails import BANK, Receipt, Reversal
from registry.payment.receiving import book_receipt
from registry.payment.reversing import reverse_receipt
from tests import factories as make
from tests import sales
from tests.db.stage import Stage, StageMaker
from tests.factories import ACTORS, Desk

pytestmark = pytest.mark.db

TREASURY = ACTORS[Role.TREASURY]
COLLEAGUE = make.actor(Role.TREASURY, subject="the-other-treasury")
OWED = 500


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[None]]:
    with make_stage(lambda _: None) as stage:
        yield stage


@pytest.fixture(scope="module")
def database(stage: Stage[None]) -> Database:
    return stage.database


def come(desk: Desk, paisa: int, reference: str) -> Payment:
    return book_receipt(desk.session, BANK, Receipt(reference, "rent", paisa, now()))


def take_back(desk: Desk, payment: Payment) -> None:
    name = payment.rail_reference
    reversal = Reversal(f"REV-{name}", name, payment.amount_paisa, now())
    reverse_receipt(desk.session, BANK, reversal)


@pytest.fixture
def owing(desk: Desk) -> Payment:
    """Money of no order that was returned, and then taken back by the bank."""
    payment = come(desk, OWED, "FIRST")
    allocating.return_payment(desk.session, TREASURY, payment.id, rail_reference="BACK")
    take_back(desk, payment)
    return payment


def receivables(desk: Desk) -> list[tuple[object, int]]:
    return [*ledger.owed_by_subject(desk.session, Account.RECEIVABLE, after=None, limit=9)]


def assigned(desk: Desk, payment: Payment, owing: Payment) -> Payment:
    allocating.assign_to_debt(desk.session, TREASURY, payment.id, owing.id)
    return allocating.assign_to_debt(desk.session, COLLEAGUE, payment.id, owing.id)


def test_debt__made_good_by_a_new_payment__is_settled(desk: Desk, owing: Payment) -> None:
    assert receivables(desk) == [(owing.id, OWED)]
    payment = assigned(desk, come(desk, OWED, "SECOND"), owing)

    assert payment.state == PaymentState.PAID_DEBT
    assert (payment.order_id, payment.owing_payment_id) == (None, owing.id)
    assert receivables(desk) == []
    books = ledger.trial_balance(desk.session)
    assert books.balances[Account.RECEIVABLE] == books.balances[Account.UNALLOCATED] == 0
    assert books.balances[Account.BANK] == 0, "it came, went back, was taken back and came again"
    with pytest.raises(Conflict, match="payment_not_unallocated"):
        allocating.return_payment(desk.session, TREASURY, payment.id, rail_reference="BACK-2")


def test_debt__takes_two_people(desk: Desk, owing: Payment) -> None:
    payment = come(desk, OWED, "SECOND")

    allocating.assign_to_debt(desk.session, TREASURY, payment.id, owing.id)
    assert (payment.proposed_payment_id, payment.proposed_by) == (owing.id, TREASURY.subject)
    with pytest.raises(Forbidden, match="checker_is_maker"):
        allocating.assign_to_debt(desk.session, TREASURY, payment.id, owing.id)
    assert (payment.state, receivables(desk)) == (PaymentState.UNALLOCATED, [(owing.id, OWED)])

    allocating.assign_to_debt(desk.session, COLLEAGUE, payment.id, owing.id)
    acts = select(JournalEntry).where(JournalEntry.act == "payment_assigned")
    [entry] = desk.session.exec(acts)
    assert (entry.subject_id, entry.facts["payment"]) == (str(owing.id), str(payment.id))


def test_debt__an_order_is_proposed_instead__begins_anew(desk: Desk, owing: Payment) -> None:
    order = sales.order(desk, sales.offering(desk, sales.wrapped_apartment(desk)), make.buyer(desk))
    payment = come(desk, OWED, "SECOND")

    allocating.assign_to_debt(desk.session, TREASURY, payment.id, owing.id)
    allocating.assign_payment(desk.session, COLLEAGUE, payment.id, order.id)
    assert (payment.proposed_order_id, payment.proposed_payment_id) == (order.id, None)
    allocating.assign_to_debt(desk.session, TREASURY, payment.id, owing.id)

    assert (payment.proposed_order_id, payment.proposed_payment_id) == (None, owing.id)
    assert payment.state == PaymentState.UNALLOCATED


def test_debt__told_again_with_its_order__drops_the_proposal(desk: Desk, owing: Payment) -> None:
    order = sales.order(desk, sales.offering(desk, sales.wrapped_apartment(desk)), make.buyer(desk))
    payment = book_receipt(desk.session, BANK, Receipt("SECOND", None, OWED, now()))
    allocating.assign_to_debt(desk.session, TREASURY, payment.id, owing.id)

    book_receipt(desk.session, BANK, Receipt("SECOND", order.reference, OWED, now()))

    assert (payment.state, payment.order_id) == (PaymentState.ALLOCATED, order.id)
    assert (payment.proposed_payment_id, payment.proposed_by) == (None, None)


def test_debt__paid_in_parts__is_what_is_left(desk: Desk, owing: Payment) -> None:
    assigned(desk, come(desk, 200, "SECOND"), owing)
    assert receivables(desk) == [(owing.id, OWED - 200)]

    third = come(desk, OWED - 199, "THIRD")
    with pytest.raises(Conflict, match="payment_exceeds_debt"):
        allocating.assign_to_debt(desk.session, TREASURY, third.id, owing.id)
    assert third.proposed_by is None
    assigned(desk, come(desk, OWED - 200, "FOURTH"), owing)
    assert receivables(desk) == []
    with pytest.raises(Conflict, match="payment_owes_nothing"):
        allocating.assign_to_debt(desk.session, TREASURY, third.id, owing.id)


def test_debt__another_payment_came_between_the_two_people__is_refused(
    desk: Desk, owing: Payment
) -> None:
    slow, fast = come(desk, OWED, "SECOND"), come(desk, 1, "THIRD")
    allocating.assign_to_debt(desk.session, TREASURY, slow.id, owing.id)
    assigned(desk, fast, owing)

    with pytest.raises(Conflict, match="payment_exceeds_debt"):
        allocating.assign_to_debt(desk.session, COLLEAGUE, slow.id, owing.id)
    assert slow.state == PaymentState.UNALLOCATED


def test_debt__of_what_owes_nothing_or_is_not_there__is_refused(desk: Desk, owing: Payment) -> None:
    payment, other = come(desk, OWED, "SECOND"), come(desk, OWED, "THIRD")

    for owes_nothing in (other, payment):
        with pytest.raises(Conflict, match="payment_owes_nothing"):
            allocating.assign_to_debt(desk.session, TREASURY, payment.id, owes_nothing.id)
    with pytest.raises(Conflict, match="payment_not_unallocated"):
        allocating.assign_to_debt(desk.session, TREASURY, owing.id, owing.id)
    for pair in ((payment.id, new_id()), (new_id(), owing.id)):
        with pytest.raises(NotFound, match="payment"):
            allocating.assign_to_debt(desk.session, TREASURY, *pair)
    assert payment.state == PaymentState.UNALLOCATED


def test_debt__what_made_it_good_is_taken_back__is_owed_again(desk: Desk, owing: Payment) -> None:
    payment = assigned(desk, come(desk, OWED, "SECOND"), owing)

    take_back(desk, payment)
    take_back(desk, payment)

    assert payment.state == PaymentState.REVERSED
    assert receivables(desk) == [(owing.id, OWED)]
    assert ledger.balance_of(desk.session, Account.UNALLOCATED) == 0
    assigned(desk, come(desk, OWED, "THIRD"), owing)
    assert receivables(desk) == []

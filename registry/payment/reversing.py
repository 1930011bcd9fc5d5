"""Use case: the rail takes a payment back, before what it paid for was minted or after."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog
from sqlmodel import Session

from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.errors import Conflict, NotFound, RegistryError
from registry.kernel.money import Money
from registry.kernel.rows import get_row
from registry.ledger import service as ledger
from registry.ledger.models import Account, EntryKind
from registry.ledger.service import NewEntry, Posting, move
from registry.offering.models import Order, OrderState, Payment, PaymentReversal, PaymentState
from registry.offering.money import renew_time_to_pay, standing_of
from registry.offering.unwinding import end_if_repaid, lock_with_token
from registry.payment.rails import PaymentRail, Reversal
from registry.payment.receiving import split_postings
from registry.payment.recognising import hold_files, payments_of, recognise_reversals
from registry.payment.rules import take_back

log = structlog.get_logger()


def reverse_receipt(session: Session, rail: PaymentRail, reversal: Reversal) -> Payment:
    """Book that a notice takes a payment back; told again, it changes nothing.

    Money that no mint has used leaves the order, which waits for it again; what was used, or sent
    back already, its buyer owes from now on, and what had made good a debt is owed again.

    Raises
    ------
    NotFound
        There is no such payment: it may not have been told yet.
    Conflict
        ``payment_not_reversible``, ``reversal_amount_differs``.
    """
    rail.require_reversible(reversal)
    hold_files(session)
    [found] = recognise_reversals(session, rail, [reversal], payments_of(session, [reversal]))
    if found.payment is None:
        raise _refusal(reversal, found.among)
    return found.payment if found.again else reverse_payment(session, rail, found.payment, reversal)


def _refusal(reversal: Reversal, meant: Sequence[Payment]) -> RegistryError:
    if not meant:
        return NotFound("payment", reversal.reverses)
    if all(payment.amount_paisa != reversal.amount_paisa for payment in meant):
        return Conflict(
            "reversal_amount_differs",
            f"{Money(reversal.amount_paisa)} were taken back of {Money(meant[0].amount_paisa)}.",
            remedy="A payment is taken back whole; ask the bank what this is.",
        )
    if any(payment.state != PaymentState.REVERSED for payment in meant):
        return Conflict(
            "payment_not_reversible",
            f"{reversal.reverses} names several payments, or not one of this order.",
            remedy="Name the order whose payment is meant.",
        )
    return Conflict(
        "payment_not_reversible",
        f"{reversal.reverses} was taken back by another reversal.",
        remedy="Look which payment is meant.",
    )


def reverse_payment(
    session: Session, rail: PaymentRail, payment: Payment, reversal: Reversal
) -> Payment:
    """Reverse what was found to be meant: the token is locked first, then order and payment."""
    order = None if payment.order_id is None else lock_with_token(session, payment.order_id)
    payment = get_row(session, Payment, payment.id, kind="payment", lock=True)
    if payment.state == PaymentState.REVERSED:
        return payment  # another notice of it came first
    if payment.order_id is None:
        _reverse_of_nobody(session, rail, payment)
    else:  # of nobody's money, somebody may have said meanwhile whose it is
        _reverse_of_order(
            session, rail, payment, order or lock_with_token(session, payment.order_id)
        )
    payment.state = PaymentState.REVERSED
    session.add_all(
        [
            payment,
            PaymentReversal(
                payment_id=payment.id,
                rail_reference=reversal.rail_reference,
                received_at=reversal.received_at,
            ),
        ]
    )
    session.flush()
    return payment


def _reverse_of_order(session: Session, rail: PaymentRail, payment: Payment, order: Order) -> None:
    split = take_back(order.state, standing_of(session, order.id), payment.amount_paisa)
    was_paid = order.state == OrderState.PAID
    order.state = split.state
    if was_paid and order.state == OrderState.AWAITING_PAYMENT:
        renew_time_to_pay(session, order)
    session.add(order)
    sides = split_postings(order.id, split, (rail.account, None), back=True)
    _book(session, payment, ("order", order.id), sides, owed_paisa=split.owed)
    end_if_repaid(session, order)


def _reverse_of_nobody(session: Session, rail: PaymentRail, payment: Payment) -> None:
    owing_id = _owing_of(payment)
    debit = (Account.RECEIVABLE, owing_id) if owing_id else (Account.UNALLOCATED, payment.id)
    sides = move(payment.amount_paisa, debit=debit, credit=(rail.account, None))
    owed = payment.amount_paisa if owing_id else 0
    _book(session, payment, ("payment", owing_id or payment.id), sides, owed_paisa=owed)


def _owing_of(payment: Payment) -> UUID | None:
    """Give the payment of which it is owed from now on; None where the money lies unused."""
    if payment.state == PaymentState.RETURNED:
        return payment.id
    return payment.owing_payment_id


def _book(
    session: Session,
    payment: Payment,
    subject: tuple[str, UUID],
    sides: tuple[Posting, ...],
    *,
    owed_paisa: int,
) -> None:
    ledger.post(session, [NewEntry(EntryKind.REVERSAL, f"reversal:{payment.id}", subject, sides)])
    facts = {
        "rail_reference": payment.rail_reference,
        "amount_paisa": str(payment.amount_paisa),
    }
    journal.record(session, THE_SYSTEM, "payment_reversed", *subject, **facts)
    if owed_paisa:
        # Compliance lists what is owed at /v1/receivables; the operators see it in the log.
        facts["owed_paisa"] = str(owed_paisa)
        journal.record(session, THE_SYSTEM, "receivable_arisen", *subject, **facts)
        log.warning("receivable_arisen", subject=str(subject[1]), **facts)

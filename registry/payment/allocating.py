"""Use cases of treasury on money of no order: give it to its order or to a debt, or back."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import any_, literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import String
from sqlmodel import Session, col, or_, select

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.errors import Conflict, NotFound
from registry.kernel.money import Money
from registry.kernel.rows import get_row, page_after
from registry.ledger import service as ledger
from registry.ledger.models import Account, EntryKind
from registry.ledger.service import NewEntry, move
from registry.lifecycle.reasons import check_other_person
from registry.offering.models import Order, OrderState, Payment, PaymentState, Refund
from registry.offering.orders import lock_orders
from registry.offering.references import near_patterns
from registry.offering.transfers import require_new_refund
from registry.payment.rails import RAILS
from registry.payment.receiving import allocate

MOST_CANDIDATES = 5


def assign_payment(session: Session, actor: Actor, payment_id: UUID, order_id: UUID) -> Payment:
    """Use money of no order for one: for its price, and what is beyond it goes back.

    For an order that it points to (`suggest_orders`) one person decides. For any other the first
    who says so proposes it, and the payment stays as it is until somebody else says the same.

    Raises
    ------
    NotFound
        There is no such payment or order.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``payment_not_unallocated``, ``order_of_other_rail``.
    """
    # Orders before payments, as whoever books what a bank tells.
    found = lock_orders(session, [order_id])
    payment = _unallocated(session, payment_id)
    if not found:
        raise NotFound("order", order_id)
    order = found[0]
    if order.rail != payment.rail:
        raise Conflict(
            "order_of_other_rail",
            f"The order is paid for by {order.rail}, the payment came by {payment.rail}.",
            remedy="Return the payment at /v1/payments/{id}/return.",
        )
    if not _is_pointed_to(session, payment, order):
        if payment.proposed_order_id != order.id:
            return _propose(session, actor, payment, order_id=order.id)
        _require_another(actor, payment, "order")
    allocate(session, actor, [(payment, order)])
    return payment


def assign_to_debt(session: Session, actor: Actor, payment_id: UUID, owing_id: UUID) -> Payment:
    """Use money of no order for what is owed of a payment that was returned, and then taken back.

    Nothing points to a debt: the first who says so proposes it, and somebody else carries it out.

    Raises
    ------
    NotFound
        There is no such payment.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``payment_not_unallocated``, ``payment_owes_nothing``, ``payment_exceeds_debt``.
    """
    # Both in the order of ids; of two payments of one debt the second sees what is left.
    for each in sorted({payment_id, owing_id}):
        get_row(session, Payment, each, kind="payment", lock=True)
    payment = _unallocated(session, payment_id)
    _require_owed(session, payment, owing_id)
    if payment.proposed_payment_id != owing_id:
        return _propose(session, actor, payment, owing_id=owing_id)
    _require_another(actor, payment, "payment")
    payment.owing_payment_id, payment.state = owing_id, PaymentState.PAID_DEBT
    session.add(payment)
    subject = ("payment", owing_id)
    sides = move(
        payment.amount_paisa,
        debit=(Account.UNALLOCATED, payment.id),
        credit=(Account.RECEIVABLE, owing_id),
    )
    ledger.post(
        session, [NewEntry(EntryKind.ALLOCATION, f"allocation:{payment.id}", subject, sides)]
    )
    session.flush()
    journal.record(
        session, actor, "payment_assigned", *subject,
        payment=str(payment.id), amount_paisa=str(payment.amount_paisa),
    )  # fmt: skip
    return payment


def _require_owed(session: Session, payment: Payment, owing_id: UUID) -> None:
    owed = ledger.balance_of(session, Account.RECEIVABLE, owing_id)
    if owed <= 0:
        raise Conflict(
            "payment_owes_nothing",
            "Nothing is owed of this payment.",
            remedy="Name a payment of /v1/receivables; what an order owes is paid by its order_id.",
        )
    if payment.amount_paisa > owed:
        raise Conflict(
            "payment_exceeds_debt",
            f"{Money(payment.amount_paisa)} came, and {Money(owed)} are owed.",
            remedy="Return it at /v1/payments/{id}/return, and ask for what is owed.",
        )


def _is_pointed_to(session: Session, payment: Payment, order: Order) -> bool:
    return any(each.id == order.id for each in suggest_orders(session, payment))


def _propose(
    session: Session,
    actor: Actor,
    payment: Payment,
    *,
    order_id: UUID | None = None,
    owing_id: UUID | None = None,
) -> Payment:
    payment.proposed_order_id, payment.proposed_payment_id = order_id, owing_id
    payment.proposed_by = actor.subject
    session.add(payment)
    session.flush()
    meant = {"order": str(order_id)} if order_id else {"owing_payment": str(owing_id)}
    journal.record(session, actor, "payment_assignment_proposed", "payment", payment.id, **meant)
    return payment


def _require_another(actor: Actor, payment: Payment, kind: str) -> None:
    check_other_person(
        actor,
        payment.proposed_by,
        told=f"Nothing but their word points to this {kind}: another person confirms (APR-01).",
        remedy=f"Let another person of treasury assign it to the same {kind}.",
    )


def return_payment(
    session: Session, actor: Actor, payment_id: UUID, *, rail_reference: str
) -> Payment:
    """Record that money of no order went back whole, as the bank confirmed.

    Parameters
    ----------
    rail_reference
        The bank's own reference of the transfer back; each is recorded once.

    Raises
    ------
    NotFound
        There is no such payment.
    Conflict
        ``payment_not_unallocated``, ``refund_reference_reused``.
    """
    payment = _unallocated(session, payment_id)
    require_new_refund(session, rail_reference)
    refund = Refund(
        payment_id=payment.id,
        rail=payment.rail,
        rail_reference=rail_reference,
        amount_paisa=payment.amount_paisa,
        recorded_by=actor.subject,
    )
    payment.state = PaymentState.RETURNED
    session.add_all([refund, payment])
    sides = RAILS[payment.rail].pay_out(
        payment.amount_paisa, debit=(Account.UNALLOCATED, payment.id)
    )
    ledger.post(
        session,
        [NewEntry(EntryKind.RETURN, f"return:{payment.id}", ("payment", payment.id), sides)],
    )
    session.flush()
    journal.record(
        session, actor, "payment_returned", "payment", payment.id,
        rail_reference=rail_reference, amount_paisa=str(payment.amount_paisa),
    )  # fmt: skip
    return payment


def _unallocated(session: Session, payment_id: UUID) -> Payment:
    payment = get_row(session, Payment, payment_id, kind="payment", lock=True)
    if payment.state != PaymentState.UNALLOCATED:
        raise Conflict(
            "payment_not_unallocated",
            f"The payment is {payment.state}.",
            remedy="Only money of no order is assigned or returned; of an order it is refunded.",
        )
    return payment


def suggest_orders(session: Session, payment: Payment) -> Sequence[Order]:
    """Suggest which order was meant: a reference that is nearly the same, or the exact price."""
    near = near_patterns(payment.order_reference or "")
    like = col(Order.reference).like(any_(literal(near, ARRAY(String))))
    exact = (col(Order.amount_paisa) == payment.amount_paisa) & (
        col(Order.state) == OrderState.AWAITING_PAYMENT
    )
    wanted = select(Order).where(
        or_(like, exact) if near else exact, col(Order.rail) == payment.rail
    )
    ranked = wanted.order_by(like.desc(), col(Order.id)) if near else wanted.order_by(col(Order.id))
    return session.exec(ranked.limit(MOST_CANDIDATES)).all()


def get_payment(session: Session, payment_id: UUID) -> Payment:
    """Return the payment.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Payment, payment_id, kind="payment")


def list_payments(
    session: Session,
    *,
    state: PaymentState | None = None,
    order_id: UUID | None = None,
    after: UUID | None,
    limit: int,
) -> Sequence[Payment]:
    """List payments, oldest first."""
    query = select(Payment)
    if state is not None:
        query = query.where(col(Payment.state) == state)
    if order_id is not None:
        query = query.where(col(Payment.order_id) == order_id)
    return session.exec(page_after(query, col(Payment.id), after=after, limit=limit)).all()

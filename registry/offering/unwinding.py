"""A sale that missed its minimum: every payment goes back, and the token ends."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.errors import Conflict
from registry.kernel.rows import get_row
from registry.lifecycle.reasons import check_reason
from registry.offering import orders
from registry.offering.models import Offering, OfferingState, Order, OrderState, Payment, Refund
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState


def unwind_offering(
    session: Session, actor: Actor, tokenization_id: UUID, *, reason: str
) -> Tokenization:
    """Give up a sale that missed its minimum; what was paid is to be refunded.

    Orders that nobody paid are cancelled. With nothing paid, the token ends at once.

    Raises
    ------
    Conflict
        ``minimum_reached``, ``transition_refused``.
    Invalid
        ``reason_missing``.
    """
    tokenization = tokenizations.get_tokenization(session, tokenization_id, lock=True)
    offering = orders.find_offering_of(session, tokenization_id)
    if offering is not None:
        offering = orders.get_offering(session, offering.id, lock=True)
    check_reason(reason, "unwind")
    given = {"offering": offering}
    tokenizations.fire(session, THE_SYSTEM, tokenization, "fail_offer", given=given, reason=reason)
    assert offering is not None, "an OFFERING tokenization has an offering"
    offering.state = OfferingState.FAILED
    for order in orders.lock_book(session, offering):
        if order.state == OrderState.AWAITING_PAYMENT:
            orders.release_order(session, actor, offering, order)
        elif order.state == OrderState.PAID:
            order.state = OrderState.REFUND_DUE
            session.add(order)
    session.add(offering)
    session.flush()
    journal.record(session, actor, "offering_failed", "offering", offering.id, reason=reason)
    _end_if_repaid(session, tokenization, offering)
    return tokenization


def record_refund(session: Session, actor: Actor, order_id: UUID, *, rail_reference: str) -> Order:
    """Record that a payment went back, whole; the last one of a failed sale ends the token.

    Parameters
    ----------
    rail_reference
        The bank's own reference of the transfer back; each is recorded once.

    Raises
    ------
    NotFound
        There is no such order.
    Conflict
        ``no_refund_due``, ``refund_reference_reused``.
    """
    found = get_row(session, Order, order_id, kind="order")
    offering = orders.get_offering(session, found.offering_id)
    tokenization = tokenizations.get_tokenization(session, offering.tokenization_id, lock=True)
    order = get_row(session, Order, order_id, kind="order", lock=True)
    if order.state != OrderState.REFUND_DUE:
        raise Conflict("no_refund_due", f"The order is {order.state}; nothing is to be refunded.")
    if _find_refund(session, rail_reference) is not None:
        raise Conflict(
            "refund_reference_reused", "This bank reference was recorded as another refund."
        )
    payment = session.exec(select(Payment).where(col(Payment.order_id) == order.id)).one()
    refund = Refund(
        payment_id=payment.id,
        rail=payment.rail,
        rail_reference=rail_reference,
        amount_paisa=payment.amount_paisa,
        recorded_by=actor.subject,
    )
    order.state = OrderState.REFUNDED
    session.add_all([refund, order])
    session.flush()
    journal.record(
        session, actor, "order_refunded", "order", order.id,
        rail_reference=rail_reference, amount_paisa=str(payment.amount_paisa),
    )  # fmt: skip
    _end_if_repaid(session, tokenization, offering)
    return order


def _find_refund(session: Session, rail_reference: str) -> Refund | None:
    return session.exec(select(Refund).where(col(Refund.rail_reference) == rail_reference)).first()


def unpaid_refunds(session: Session, offering_id: UUID) -> Sequence[Order]:
    """List the orders of a failed sale whose money has not gone back."""
    return session.exec(
        select(Order)
        .where(col(Order.offering_id) == offering_id, col(Order.state) == OrderState.REFUND_DUE)
        .order_by(col(Order.id))
    ).all()


def _end_if_repaid(session: Session, tokenization: Tokenization, offering: Offering) -> None:
    if tokenization.state != TokenizationState.UNWINDING:
        return  # the refund of one order, whose sale went on
    if unpaid_refunds(session, offering.id):
        return
    given = {"offering": offering}
    tokenizations.fire(session, THE_SYSTEM, tokenization, "refunds_done", given=given)
    tokenizations.close_on_chain(session, THE_SYSTEM, tokenization)

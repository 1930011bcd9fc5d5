"""Use cases on orders that end before the sale does: cancelled, withdrawn, or never paid.

What they held is offered to who waits for it, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable import service as captable
from registry.captable import trades
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now, written
from registry.kernel.errors import Conflict
from registry.kernel.rows import get_row
from registry.lifecycle.reasons import check_reason
from registry.offering import orders, waiting
from registry.offering.models import Offering, Order, OrderState
from registry.tokenization import service as tokenizations

_UNPAID = (OrderState.AWAITING_PAYMENT, OrderState.SETTLING)
"""Past its deadline nothing settles a trade any more, whatever has become of our operation."""


def cancel_order(session: Session, actor: Actor, order_id: UUID) -> Order:
    """Give reserved fractions back before they are paid for; what came of the price goes back.

    Raises
    ------
    NotFound
        It is not the caller's.
    Conflict
        ``order_not_cancellable``, ``order_signed_by_seller``.
    """
    order = orders.get_own_order(session, actor, order_id)
    offering = _lock(session, order)
    _require_cancellable(order)
    _release(session, actor, offering, order, "order_cancelled")
    return order


def annul_order(session: Session, actor: Actor, order_id: UUID, *, reason: str) -> Order:
    """End somebody's unpaid order as compliance: it holds fractions that nobody pays for.

    Raises
    ------
    NotFound
        There is no such order.
    Conflict
        ``order_not_cancellable``, ``order_signed_by_seller``.
    Invalid
        ``reason_missing``.
    """
    order = get_row(session, Order, order_id, kind="order")
    offering = _lock(session, order)
    check_reason(reason, "annul")
    _require_cancellable(order)
    _release(session, actor, offering, order, "order_annulled", reason=reason)
    return order


def _require_cancellable(order: Order) -> None:
    """Ask that a locked order is not paid for, and that nobody can settle it any more."""
    if order.state != OrderState.AWAITING_PAYMENT:
        raise Conflict(
            "order_not_cancellable",
            f"The order is {order.state}.",
            remedy="A paid order can be withdrawn within its cooling-off, at /withdraw.",
        )
    if order.trade_digest is not None:
        # With the seller's signature the buyer can settle it on chain without asking us.
        assert order.pay_until is not None, "a trade has an end"
        raise Conflict(
            "order_signed_by_seller",
            f"The seller has signed it; it can be settled until {written(order.pay_until)}.",
            values={"until": written(order.pay_until)},
            remedy="Leave it unpaid: it lapses then.",
        )


def withdraw_order(session: Session, actor: Actor, order_id: UUID) -> Order:
    """Take a paid order back within its cooling-off, for no reason; all of its money goes back.

    Raises
    ------
    NotFound
        It is not the caller's.
    Conflict
        ``order_not_withdrawable``, ``cooling_off_over``.
    """
    order = orders.get_own_order(session, actor, order_id)
    offering = _lock(session, order)
    if order.state != OrderState.PAID:
        unpaid = order.state == OrderState.AWAITING_PAYMENT
        raise Conflict(
            "order_not_withdrawable",
            f"The order is {order.state}.",
            remedy="An unpaid order is cancelled, at /cancel." if unpaid else None,
        )
    until = order.withdrawable_until
    if until is None or until <= now():
        raise Conflict(
            "cooling_off_over",
            "This offering has no cooling-off."
            if until is None
            else f"The order could be withdrawn until {written(until)}.",
            remedy="A paid order is binding.",
        )
    _release(session, actor, offering, order, "order_withdrawn")
    return order


def lapse_order(session: Session, order_id: UUID) -> Order:
    """End an order whose time to pay is over; what came of the price goes back.

    Raises
    ------
    Conflict
        ``order_not_cancellable``: it is paid by now, its time is not over, or the chain may still
        show that its trade was settled in time.
    """
    order = get_row(session, Order, order_id, kind="order")
    offering = _lock(session, order)
    if not _is_unpaid_at(order, now()) or not _is_settled_nowhere(session, order):
        raise Conflict("order_not_cancellable", f"The order is {order.state}, and has time.")
    _release(session, THE_SYSTEM, offering, order, "order_lapsed")
    return order


def list_unpaid(session: Session) -> Sequence[UUID]:
    """List the orders whose time to pay is over, and that nothing can complete any more."""
    due = session.exec(
        select(Order)
        .where(col(Order.state).in_(_UNPAID), col(Order.pay_until) <= now())
        .order_by(col(Order.pay_until), col(Order.id))
    ).all()
    return [order.id for order in due if _is_settled_nowhere(session, order)]


def _is_unpaid_at(order: Order, moment: datetime) -> bool:
    return order.state in _UNPAID and order.pay_until is not None and order.pay_until <= moment


def _is_settled_nowhere(session: Session, order: Order) -> bool:
    """Tell whether a trade that the seller has signed is known never to have been carried out."""
    if order.trade_digest is None:
        return True
    assert order.pay_until is not None, "a trade has an end"
    offering = orders.get_offering(session, order.offering_id)
    address = tokenizations.get_tokenization(session, offering.tokenization_id).token_address
    assert address is not None, "what the wrapper sells is deployed"
    token = captable.get_token(session, address)
    # In this order: what is read meanwhile is seen by the second question.
    is_read = trades.is_read_for_good(session, token.chain_id, order.pay_until)
    return is_read and not trades.is_settled(session, order.trade_digest)


def _lock(session: Session, order: Order) -> Offering:
    offering = orders.get_offering(session, order.offering_id, lock=True)
    session.refresh(order, with_for_update=True)
    return offering


def _release(
    session: Session, actor: Actor, offering: Offering, order: Order, act: str, **facts: str
) -> None:
    orders.release_orders(session, actor, offering, [order], act=act, **facts)
    waiting.offer_freed(session, offering)

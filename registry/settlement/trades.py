"""The trade of an order: its terms, which are the order's own, and the wrapper's signature on them.

Nobody chooses a number or a deadline: the number of both parties is the order's id, and it can be
settled as long as the order may be paid. So each signature is of one order, and ends with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session, col, select

from registry.investor import service as investors
from registry.investor.models import Wallet
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, NotFound
from registry.kernel.rows import get_row, page_after
from registry.notice import service as notices
from registry.offering import orders, secondary
from registry.offering.models import Offering, OfferingKind, Order, OrderState, Rail
from registry.tokenization import service as tokenizations


@dataclass(frozen=True, slots=True)
class Terms:
    """What both parties sign (`Settlement.Trade`), but for the rupee's contract.

    Parameters
    ----------
    token, seller, buyer : bytes
        20 bytes each.
    price_paisa : int
        For all of the units.
    nonce : int
        Of both parties; below 2**128.
    deadline : int
        Last second, since the epoch, at which it may be settled.
    """

    token: bytes
    seller: bytes
    buyer: bytes
    units: int
    price_paisa: int
    nonce: int
    deadline: int


def terms_of(session: Session, order: Order) -> Terms:
    """Return the terms of an order that is paid on chain."""
    assert order.pay_until is not None, "a trade has an end"
    offering = orders.get_offering(session, order.offering_id)
    token = tokenizations.get_tokenization(session, offering.tokenization_id).token_address
    assert token is not None, "what the wrapper sells is deployed"
    return Terms(
        token=token,
        seller=secondary.seller_of(session, offering).address,
        buyer=session.get_one(Wallet, order.wallet_id).address,
        units=order.units,
        price_paisa=order.amount_paisa,
        nonce=order.id.int,
        deadline=int(order.pay_until.timestamp()),
    )


def get_trade(session: Session, actor: Actor, order_id: UUID) -> Order:
    """Return an order that is paid on chain, to its buyer or its seller.

    Raises
    ------
    NotFound
        There is none, or it is of other people.
    Conflict
        ``order_of_other_rail``.
    """
    order = get_row(session, Order, order_id, kind="order")
    caller = investors.find_investor_of(session, actor.subject)
    offering = orders.get_offering(session, order.offering_id)
    if caller is None or caller.id not in (order.investor_id, _seller_id(session, offering)):
        raise NotFound("order", order_id)
    require_on_chain(order)
    return order


def is_buyer(session: Session, actor: Actor, order: Order) -> bool:
    caller = investors.find_investor_of(session, actor.subject)
    return caller is not None and caller.id == order.investor_id


def require_on_chain(order: Order) -> None:
    """Ask that an order is paid for on chain.

    Raises
    ------
    Conflict
        ``order_of_other_rail``.
    """
    if order.rail != Rail.ONCHAIN_RUPEE:
        raise Conflict(
            "order_of_other_rail",
            f"The order is paid for by {order.rail}.",
            remedy="Pay it by bank, with its reference.",
        )


def list_unsigned(
    session: Session, actor: Actor, offering_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[Order]:
    """List the orders of the caller's sale that wait for their signature, oldest first.

    Raises
    ------
    NotFound
        It is not the caller who sells there.
    """
    _require_seller(session, actor, orders.get_offering(session, offering_id), "offering")
    query = select(Order).where(
        col(Order.offering_id) == offering_id,
        col(Order.state) == OrderState.AWAITING_PAYMENT,
        col(Order.trade_digest).is_(None),
        col(Order.pay_until) > now(),
    )
    return session.exec(page_after(query, col(Order.id), after=after, limit=limit)).all()


def open_to_sign(session: Session, actor: Actor, order_id: UUID) -> Order:
    """Return an order of the caller's sale, locked, that they may sign.

    Raises
    ------
    NotFound
        There is none, or it is not the caller who sells.
    Conflict
        ``order_not_awaiting_payment``, ``trade_signed``, ``settlement_too_late``, and what
        `secondary.require_selling` says: nothing is sold while it rests.
    """
    found = get_row(session, Order, order_id, kind="order")
    offering = orders.get_offering(session, found.offering_id, lock=True)
    _require_seller(session, actor, offering, "order", order_id)
    [order] = orders.lock_orders(session, [order_id])
    if order.trade_digest is not None:
        raise Conflict(
            "trade_signed", "You have signed this order.", remedy="Wait until its buyer pays."
        )
    require_unpaid(order)
    tokenization = tokenizations.get_tokenization(session, offering.tokenization_id)
    secondary.require_selling(session, offering, tokenization)
    return order


def require_unpaid(order: Order) -> None:
    """Ask that an order waits for its money, and that there is time to pay.

    Raises
    ------
    Conflict
        ``order_not_awaiting_payment``, ``settlement_too_late``.
    """
    if order.state != OrderState.AWAITING_PAYMENT:
        raise Conflict("order_not_awaiting_payment", f"The order is {order.state}.")
    require_in_time(order)


def require_in_time(order: Order) -> None:
    """Ask that an order's trade can still be settled.

    Raises
    ------
    Conflict
        ``settlement_too_late``.
    """
    if order.pay_until is None or order.pay_until <= now():
        raise Conflict(
            "settlement_too_late",
            "The time to pay is over.",
            remedy="Order again, if there is something left.",
        )


def record_signature(
    session: Session, actor: Actor, order: Order, *, digest: bytes, signature: bytes
) -> Order:
    """Keep the seller's signature, which somebody has checked, and tell the buyer.

    Parameters
    ----------
    digest
        EIP-712 of the terms, 32 bytes: by it the trade is found on chain, whoever sends it.
    """
    order.trade_digest, order.seller_signature = digest, signature
    session.add(order)
    session.flush()
    journal.record(session, actor, "trade_signed", "order", order.id, digest=f"0x{digest.hex()}")
    buyer = investors.get_investor(session, order.investor_id)
    notices.tell(
        session, buyer.subject, "trade.signed", ("order", order.id),
        units=str(order.units), amount_paisa=str(order.amount_paisa),
    )  # fmt: skip
    return order


def _require_seller(
    session: Session, actor: Actor, offering: Offering, kind: str, row_id: UUID | None = None
) -> None:
    caller = investors.find_investor_of(session, actor.subject)
    if caller is None or caller.id != _seller_id(session, offering):
        raise NotFound(kind, row_id or offering.id)


def _seller_id(session: Session, offering: Offering) -> UUID | None:
    if offering.kind != OfferingKind.SECONDARY:
        return None
    return secondary.seller_of(session, offering).investor_id

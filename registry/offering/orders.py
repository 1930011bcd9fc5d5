"""Use cases on orders: reserve, cancel."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.models import AssetState
from registry.court_order import service as court_orders
from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import Investor, Wallet, WalletState
from registry.journal import service as journal
from registry.kernel.actor import Actor, Role
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.kernel.rows import among, get_row, page_after
from registry.offering import limits, money
from registry.offering.models import Offering, OfferingState, Order, OrderState
from registry.offering.references import new_reference
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization

BOOKKEEPERS = (Role.TREASURY, Role.AUDITOR, Role.REGULATOR, Role.COMPLIANCE)


def place_order(
    session: Session, actor: Actor, offering_id: UUID, *, units: int, wallet_address: bytes
) -> Order:
    """Reserve fractions for the caller.

    The offering's row is locked, so that of two buyers of the last fraction one is refused.

    Parameters
    ----------
    units
        Whole fractions, more than 0.
    wallet_address
        20 bytes; a proven wallet of the caller.

    Raises
    ------
    Forbidden
        ``kyc_not_passed``.
    Conflict
        ``offering_closed``, ``asset_not_registered``, ``order_exceeds_offer``,
        ``wallet_not_proven``, ``party_under_order``, ``country_not_allowed``,
        ``order_exceeds_holding``, ``holders_exhausted``.
    Invalid
        ``order_below_ticket``.
    """
    investor = _buyer(session, actor)
    wallet = _own_wallet(session, investor, wallet_address)
    court_orders.require_unbound(session, investor.party_id, wallet.address)
    offering = get_offering(session, offering_id, lock=True)
    if offering.state != OfferingState.OPEN:
        raise Conflict("offering_closed", "The offering is closed.")
    tokenization = tokenizations.get_tokenization(session, offering.tokenization_id)
    _require_registered(session, tokenization)
    if units < offering.min_ticket_units:
        raise Invalid(
            "order_below_ticket",
            f"The smallest order is {offering.min_ticket_units} fractions.",
            values={"least": offering.min_ticket_units},
            field="/units",
        )
    left = offering.offered_units - offering.reserved_units
    if units > left:
        raise Conflict(
            "order_exceeds_offer",
            f"{units} fractions are ordered, {left} are left of {offering.offered_units}.",
            values={"units": units, "left": left},
            remedy=f"Order at most {left}." if left else "The offering is fully subscribed.",
        )
    limits.require_within(session, tokenization, offering, investor, units)
    offering.reserved_units += units
    order = Order(
        offering_id=offering.id,
        investor_id=investor.id,
        wallet_id=wallet.id,
        units=units,
        amount_paisa=units * offering.price_paisa,
        reference=new_reference(),
    )
    session.add_all([offering, order])
    session.flush()
    journal.record(
        session,
        actor,
        "order_placed",
        "order",
        order.id,
        offering_id=str(offering.id),
        units=str(units),
        amount_paisa=str(order.amount_paisa),
    )
    return order


def _require_registered(session: Session, tokenization: Tokenization) -> None:
    # Not the whole gate, which the mint asks: only that nobody pays for what a court has stopped.
    asset = assets.get_asset(session, tokenization.asset_id)
    if asset.state != AssetState.REGISTERED:
        raise Conflict("asset_not_registered", f"The asset is {asset.state}; the sale rests.")


def _buyer(session: Session, actor: Actor) -> Investor:
    investor = investors.find_investor_of(session, actor.subject)
    if investor is None or not investors.may_hold(investor):
        raise Forbidden(
            "kyc_not_passed",
            "Only an investor whose KYC is passed and in force can buy.",
            remedy="Enrol at /v1/investors, prove a wallet, and wait for the decision.",
        )
    return investor


def _own_wallet(session: Session, investor: Investor, address: bytes) -> Wallet:
    wallet = wallets.find_wallet(session, address)
    if (
        wallet is None
        or wallet.investor_id != investor.id
        or wallet.state != WalletState.PROVEN
        or wallet.identity is None
    ):
        raise Conflict(
            "wallet_not_proven",
            "The wallet is not proven to be yours, or has no identity on chain yet.",
            remedy="Sign its challenge at /v1/investors/{id}/wallets and wait for the identity.",
        )
    return wallet


def cancel_order(session: Session, actor: Actor, order_id: UUID) -> Order:
    """Give reserved fractions back before they are paid for; what came of the price goes back.

    Raises
    ------
    NotFound
        It is not the caller's.
    Conflict
        ``order_not_cancellable``.
    """
    order = get_own_order(session, actor, order_id)
    offering = get_offering(session, order.offering_id, lock=True)
    session.refresh(order, with_for_update=True)
    if order.state != OrderState.AWAITING_PAYMENT:
        raise Conflict("order_not_cancellable", f"The order is {order.state}.")
    release_orders(session, actor, offering, [order])
    return order


def release_orders(
    session: Session, actor: Actor, offering: Offering, unpaid: Sequence[Order]
) -> None:
    """Cancel orders of a locked offering that are not paid, or not whole."""
    money.release_money(session, unpaid)
    offering.reserved_units -= sum(order.units for order in unpaid)
    session.add(offering)
    session.flush()
    journal.record_each(session, actor, "order_cancelled", "order", [order.id for order in unpaid])


def lock_book(session: Session, offering: Offering) -> Sequence[Order]:
    """Lock every order of a sale: a payment that is being booked at this moment comes before."""
    return _lock(session, col(Order.offering_id) == offering.id)


def lock_orders(session: Session, order_ids: Collection[UUID]) -> Sequence[Order]:
    """Lock some orders, as `lock_book` does."""
    return _lock(session, among(col(Order.id), order_ids)) if order_ids else []


def _lock(session: Session, which: ColumnElement[bool]) -> Sequence[Order]:
    """Lock orders, always in the order of their ids, and read them anew."""
    return session.exec(
        select(Order)
        .where(which)
        .order_by(col(Order.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def get_offering(session: Session, offering_id: UUID, *, lock: bool = False) -> Offering:
    """Return the offering.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Offering, offering_id, kind="offering", lock=lock)


def find_offering_of(session: Session, tokenization_id: UUID) -> Offering | None:
    return session.exec(
        select(Offering).where(col(Offering.tokenization_id) == tokenization_id)
    ).first()


def list_offerings(session: Session, *, after: UUID | None, limit: int) -> Sequence[Offering]:
    """List offerings, oldest first."""
    query = select(Offering)
    return session.exec(page_after(query, col(Offering.id), after=after, limit=limit)).all()


def get_own_order(session: Session, actor: Actor, order_id: UUID) -> Order:
    """Return an order of the caller.

    Raises
    ------
    NotFound
        There is none, or it is somebody else's.
    """
    order = session.get(Order, order_id)
    investor = investors.find_investor_of(session, actor.subject)
    if order is None or investor is None or order.investor_id != investor.id:
        raise NotFound("order", order_id)
    return order


def get_readable_order(session: Session, actor: Actor, order_id: UUID) -> Order:
    """Return an order to who keeps or audits the books, or to its buyer.

    Raises
    ------
    NotFound
        There is none, or it is somebody else's.
    """
    if actor.has(*BOOKKEEPERS):
        return get_row(session, Order, order_id, kind="order")
    return get_own_order(session, actor, order_id)


def is_mint_of(session: Session, actor: Actor, operation_id: UUID) -> bool:
    """Tell whether the operation mints for one of the caller's own orders."""
    mine = (
        select(Order.id)
        .join(Investor, col(Investor.id) == col(Order.investor_id))
        .where(col(Order.operation_id) == operation_id, col(Investor.subject) == actor.subject)
    )
    return session.exec(mine).first() is not None


def list_orders(
    session: Session,
    *,
    offering_id: UUID | None = None,
    investor_id: UUID | None = None,
    states: Collection[OrderState] = (),
    after: UUID | None = None,
    limit: int | None = None,
) -> Sequence[Order]:
    """List orders, oldest first; without states, those of every one."""
    query = select(Order)
    if offering_id is not None:
        query = query.where(col(Order.offering_id) == offering_id)
    if investor_id is not None:
        query = query.where(col(Order.investor_id) == investor_id)
    if states:
        query = query.where(col(Order.state).in_(states))
    return session.exec(page_after(query, col(Order.id), after=after, limit=limit)).all()

"""Orders and offerings: found, listed, locked, and released together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from registry.case.receiving import barred_wallets, replacements_of
from registry.investor import service as investors
from registry.investor import wallets
from registry.investor.models import Investor
from registry.journal import service as journal
from registry.kernel.actor import OVERSIGHT, Actor, Role
from registry.kernel.errors import NotFound
from registry.kernel.reading import Composed
from registry.kernel.rows import among, get_row, page_after
from registry.offering import money
from registry.offering.models import Offering, OfferingKind, Order, OrderState, WaitingEntry

Owned = TypeVar("Owned", Order, WaitingEntry)
BOOKKEEPERS = OVERSIGHT | {Role.TREASURY}


def release_orders(
    session: Session,
    actor: Actor,
    offering: Offering,
    released: Sequence[Order],
    *,
    act: str = "order_cancelled",
    **facts: str,
) -> None:
    """End orders of a locked offering, and let their fractions and their money go.

    Parameters
    ----------
    act, facts
        What the journal says of each.
    """
    money.release_money(session, released)
    offering.reserved_units -= sum(order.units for order in released)
    session.add(offering)
    session.flush()
    journal.record_each(session, actor, act, "order", [order.id for order in released], **facts)


def is_time_over(offering: Offering, moment: datetime) -> bool:
    """Tell whether no order is taken any more."""
    return offering.closes_at is not None and offering.closes_at <= moment


def lock_book(session: Session, offering: Offering) -> Sequence[Order]:
    """Lock every order of a sale: a payment that is being booked at this moment comes before."""
    return _lock(session, col(Order.offering_id) == offering.id)


def buys(session: Session, offering: Offering) -> ColumnElement[bool]:
    """Give the condition that an order buys something if its sale closes now.

    It is paid for, its investor may hold and has a proven wallet, no order binds them and no list
    may name them: another one's mint would be refused. An order on a wallet that they gave up since
    is none on the one in which they are given the fractions. Whether a sale reached its minimum and
    who gets how much is asked of the same orders.
    """
    paid = (col(Order.offering_id) == offering.id) & (col(Order.state) == OrderState.PAID)
    named = set(session.exec(select(Order.wallet_id).where(paid)))
    others = replacements_of(session, named)
    given = {each: others[each].id if each in others else each for each in named}
    barred = barred_wallets(session, set(given.values()))
    refused = [each for each, wallet_id in given.items() if wallet_id in barred]
    may_receive = wallets.may_receive(col(Order.investor_id))
    return paid & may_receive & ~among(col(Order.wallet_id), refused)


def get_orders(session: Session, ids: Collection[UUID]) -> dict[UUID, Order]:
    """Return many orders by their ids, which are known to be there."""
    rows = session.exec(select(Order).where(among(col(Order.id), ids))).all()
    return {row.id: row for row in rows}


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
    """Return the first sale of a token, whose fractions are minted when it closes."""
    return session.exec(
        select(Offering).where(
            col(Offering.tokenization_id) == tokenization_id,
            col(Offering.kind) == OfferingKind.PRIMARY,
        )
    ).first()


def lock_offering_of(session: Session, tokenization_id: UUID) -> Offering | None:
    """Return the same, locked: nobody orders, pays or ends it meanwhile."""
    found = find_offering_of(session, tokenization_id)
    return None if found is None else get_offering(session, found.id, lock=True)


def list_offerings(session: Session, *, after: UUID | None, limit: int) -> Sequence[Offering]:
    """List offerings, oldest first."""
    return _OFFERINGS.scalars(session, after=after or UUID(int=0), limit=limit)


_OFFERINGS = Composed(
    sql_select(Offering)
    .where(col(Offering.id) > bindparam("after"))
    .order_by(col(Offering.id))
    .limit(bindparam("limit"))
)


def get_own_order(session: Session, actor: Actor, order_id: UUID) -> Order:
    """Return an order of the caller.

    Raises
    ------
    NotFound
        There is none, or it is somebody else's.
    """
    return require_own(session, actor, session.get(Order, order_id), "order", order_id)


def require_own(
    session: Session, actor: Actor, found: Owned | None, kind: str, row_id: UUID
) -> Owned:
    """Return what was found if it is the caller's; to everybody else it does not exist.

    Raises
    ------
    NotFound
    """
    investor = investors.find_investor_of(session, actor.subject)
    if found is None or investor is None or found.investor_id != investor.id:
        raise NotFound(kind, row_id)
    return found


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

"""Finding orders, and the wallets that they name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, or_, select

from registry.court_order.models import (
    BINDING,
    COMMANDING,
    CourtOrder,
    CourtOrderState,
)
from registry.investor.models import Investor, Wallet
from registry.kernel.clock import today
from registry.kernel.rows import get_row, page_after

_VARIED = (col(CourtOrder.state) == CourtOrderState.AUTHENTICATED) & col(
    CourtOrder.applied_at
).is_not(None)
"""Varied, and not applied again."""


def get_order(session: Session, order_id: UUID, *, lock: bool = False) -> CourtOrder:
    """Return the order.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, CourtOrder, order_id, kind="court order", lock=lock)


def list_orders(
    session: Session, *, state: str | None, after: UUID | None, limit: int
) -> Sequence[CourtOrder]:
    """List orders in the order in which they came in."""
    query = select(CourtOrder)
    if state is not None:
        query = query.where(col(CourtOrder.state) == state)
    return session.exec(page_after(query, col(CourtOrder.id), after=after, limit=limit)).all()


def find_pending(session: Session, asset_id: UUID) -> CourtOrder | None:
    """Return an order on the asset that came in and is not applied yet, but still can be."""
    return session.exec(
        select(CourtOrder).where(
            col(CourtOrder.asset_id) == asset_id,
            col(CourtOrder.state).in_((CourtOrderState.RECEIVED, CourtOrderState.AUTHENTICATED)),
            col(CourtOrder.applied_at).is_(None),
            or_(col(CourtOrder.ends_on).is_(None), col(CourtOrder.ends_on) >= today()),
        )
    ).first()


def list_binding(session: Session) -> Sequence[CourtOrder]:
    """List the orders that bind now, oldest first; one that was varied binds on meanwhile."""
    return session.exec(
        select(CourtOrder)
        .where(col(CourtOrder.state).in_(BINDING) | _VARIED)
        .order_by(col(CourtOrder.id))
    ).all()


def wallets_of(session: Session, order: CourtOrder) -> list[bytes]:
    """List the addresses that an order wants frozen."""
    if order.wallet is not None:
        return [order.wallet]
    if order.party_id is None:
        return []
    rows: Any = session.exec(
        select(Wallet.address)
        .join(Investor, col(Investor.id) == col(Wallet.investor_id))
        .where(col(Investor.party_id) == order.party_id)
        .order_by(col(Wallet.address))
    )
    return list(rows.all())


def due_orders(session: Session) -> list[UUID]:
    """List the orders that command, or did before they were varied, and whose last day is over.

    The chain does not obey some of them yet, and may never: a wallet can have less than an order
    wants. They end all the same.
    """
    rows = session.exec(
        select(CourtOrder.id)
        .where(col(CourtOrder.state).in_(COMMANDING) | _VARIED, col(CourtOrder.ends_on) < today())
        .order_by(col(CourtOrder.id))
    )
    return list(rows.all())

"""/v1/offerings and /v1/orders: the first sale."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from api.deps import ActorDep, ReadSessionDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.common import Page
from api.schemas.payments import EntryRead
from api.schemas.tokenizations import OfferingRead, OrderCreate, OrderRead, RefundRecord
from registry.ledger import service as ledger
from registry.offering import minting, orders, unwinding

router = resource_router("offerings")


@router.get("/offerings")
def list_offerings(session: ReadSessionDep, paging: PagingDep) -> Page[OfferingRead]:
    """List the sales."""
    rows = orders.list_offerings(session, after=paging.after_id, limit=paging.fetch)
    return paging.page(rows, lambda row: str(row.id), OfferingRead.of)


@router.get("/offerings/{offering_id}")
def get_offering(offering_id: UUID, session: ReadSessionDep) -> OfferingRead:
    """Read a sale, and what is left of it."""
    return OfferingRead.of(orders.get_offering(session, offering_id))


@router.post("/offerings/{offering_id}/orders", status_code=201, dependencies=IDEMPOTENT)
def place_order(
    offering_id: UUID, body: OrderCreate, session: SessionDep, actor: ActorDep, response: Response
) -> OrderRead:
    """Reserve fractions; pay with the reference that the answer names."""
    order = orders.place_order(
        session,
        actor,
        offering_id,
        units=int(body.units),
        wallet_address=bytes.fromhex(body.wallet.removeprefix("0x")),
    )
    response.headers["Location"] = f"/v1/orders/{order.id}"
    return OrderRead.read(session, order)


@router.get("/orders/{order_id}")
def get_order(order_id: UUID, session: ReadSessionDep, actor: ActorDep) -> OrderRead:
    """Read one of your orders, and what is paid of it."""
    return OrderRead.read(session, orders.get_own_order(session, actor, order_id))


@router.get("/orders/{order_id}/ledger")
def get_order_ledger(order_id: UUID, session: ReadSessionDep, actor: ActorDep) -> list[EntryRead]:
    """See every movement of an order's money: of your own, or as who keeps or audits the books."""
    row = orders.get_readable_order(session, actor, order_id)
    return [EntryRead.of(booked) for booked in ledger.statement_about(session, row.id)]


@router.post("/orders/{order_id}/cancel", dependencies=IDEMPOTENT)
def cancel_order(order_id: UUID, session: SessionDep, actor: ActorDep) -> OrderRead:
    """Give an unpaid order's fractions back; what came of its price goes back."""
    return OrderRead.read(session, orders.cancel_order(session, actor, order_id))


@router.post("/orders/{order_id}/refund", dependencies=IDEMPOTENT)
def refund_order(
    order_id: UUID, body: RefundRecord, session: SessionDep, actor: ActorDep
) -> OrderRead:
    """Record that money of an order went back, by the bank's own reference; whole or in parts."""
    row = unwinding.record_refund(
        session,
        actor,
        order_id,
        rail_reference=body.rail_reference,
        amount_paisa=body.amount.paisa("/amount/amount") if body.amount else None,
    )
    return OrderRead.read(session, row)


@router.post("/orders/{order_id}/give_back", dependencies=IDEMPOTENT)
def give_back_order(
    order_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> OrderRead:
    """Give up a mint that was refused: the wrapper keeps the fractions, the buyer is refunded."""
    row = minting.give_back_order(session, actor, order_id, reason=body.reason)
    return OrderRead.read(session, row)

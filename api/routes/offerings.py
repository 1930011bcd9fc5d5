"""/v1/offerings, /v1/orders and /v1/waiting_entries: the first sale."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response
from fastapi.responses import StreamingResponse

from api.deps import ActorDep, ReadSessionDep, SessionDep, StoreDep, VaultDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.reading import ReadingDep
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.common import Page
from api.schemas.offerings import (
    AcceptanceRead,
    OfferingRead,
    OrderCreate,
    OrderRead,
    RefundRecord,
    SaleOrderRead,
    WaitingEntryRead,
)
from api.schemas.payments import EntryRead
from registry.document import service as documents
from registry.ledger import service as ledger
from registry.offering import (
    acceptance,
    buying,
    ending,
    leaving,
    minting,
    orders,
    unwinding,
    waiting,
)
from registry.offering.models import OrderState

router = resource_router("offerings")


@router.get("/offerings")
def list_offerings(session: ReadSessionDep, paging: PagingDep) -> Page[OfferingRead]:
    """List the sales."""
    rows = orders.list_offerings(session, after=paging.after_id, limit=paging.fetch)
    return paging.page(rows, lambda row: str(row.id), OfferingRead.reader(session, rows))


@router.get("/offerings/{offering_id}")
def get_offering(offering_id: UUID, session: ReadSessionDep) -> OfferingRead:
    """Read a sale, and what is left of it."""
    return OfferingRead.read(session, orders.get_offering(session, offering_id))


@router.get("/offerings/{offering_id}/documents/{document_id}/content", response_class=Response)
def get_offering_document_content(
    offering_id: UUID,
    document_id: UUID,
    session: SessionDep,
    actor: ActorDep,
    vault: VaultDep,
    store: StoreDep,
) -> Response:
    """Read a paper that buyers of a sale must accept; the journal keeps who did."""
    acceptance.require_of_offering(session, offering_id, document_id)
    document, content = documents.read_document(session, vault, store, actor, document_id, {})
    return StreamingResponse(
        content,
        media_type=document.media_type,
        headers={"Content-Disposition": f'attachment; filename="{document.id}"'},
    )


@router.post("/offerings/{offering_id}/stop", dependencies=IDEMPOTENT)
def stop_offering(
    offering_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> OfferingRead:
    """Take no more orders; the sale closes by itself once nobody can pay or withdraw any more."""
    row = ending.stop_offering(session, actor, offering_id, reason=body.reason)
    return OfferingRead.read(session, row)


@router.post("/offerings/{offering_id}/orders", status_code=201, dependencies=IDEMPOTENT)
def place_order(
    offering_id: UUID, body: OrderCreate, session: SessionDep, actor: ActorDep, response: Response
) -> OrderRead:
    """Order fractions; pay with the reference that the answer names."""
    order = buying.place_order(
        session,
        actor,
        offering_id,
        units=int(body.units),
        wallet_address=body.wallet_address,
        accepted=body.accepted(),
    )
    response.headers["Location"] = f"/v1/orders/{order.id}"
    return OrderRead.read(session, order)


@router.get("/offerings/{offering_id}/orders")
def list_offering_orders(
    offering_id: UUID,
    session: ReadSessionDep,
    reading: ReadingDep,
    paging: PagingDep,
    state: OrderState | None = None,
) -> Page[SaleOrderRead]:
    """List the orders of a sale, in the order in which they came."""
    orders.get_offering(session, offering_id)
    rows = orders.list_orders(
        session,
        offering_id=offering_id,
        states=[state] if state else (),
        after=paging.after_id,
        limit=paging.fetch,
    )
    return reading.of(
        paging.page(rows, lambda row: str(row.id), SaleOrderRead.reader(session, rows))
    )


@router.post("/offerings/{offering_id}/waiting_list", status_code=201, dependencies=IDEMPOTENT)
def join_waiting_list(
    offering_id: UUID, body: OrderCreate, session: SessionDep, actor: ActorDep
) -> WaitingEntryRead:
    """Wait for fractions of a sale that has not enough left; you are offered an order."""
    entry = waiting.join_waiting_list(
        session,
        actor,
        offering_id,
        units=int(body.units),
        wallet_address=body.wallet_address,
        accepted=body.accepted(),
    )
    return WaitingEntryRead.read(session, entry)


@router.get("/offerings/{offering_id}/waiting_list")
def get_waiting_list(
    offering_id: UUID, session: ReadSessionDep, paging: PagingDep
) -> Page[WaitingEntryRead]:
    """List who waits, and what became of who did, in the order in which they came."""
    orders.get_offering(session, offering_id)
    rows = waiting.list_entries(
        session, offering_id=offering_id, after=paging.after_id, limit=paging.fetch
    )
    return paging.page(rows, lambda row: str(row.id), WaitingEntryRead.reader(session, rows))


@router.post("/waiting_entries/{entry_id}/leave", dependencies=IDEMPOTENT)
def leave_waiting_list(entry_id: UUID, session: SessionDep, actor: ActorDep) -> WaitingEntryRead:
    """Give your place on a waiting list up."""
    return WaitingEntryRead.read(session, waiting.leave_waiting_list(session, actor, entry_id))


@router.get("/orders/{order_id}")
def get_order(order_id: UUID, session: ReadSessionDep, actor: ActorDep) -> OrderRead:
    """Read one of your orders, and what is paid of it."""
    return OrderRead.read(session, orders.get_own_order(session, actor, order_id))


@router.get("/orders/{order_id}/ledger")
def get_order_ledger(
    order_id: UUID, session: ReadSessionDep, reading: ReadingDep, actor: ActorDep
) -> list[EntryRead]:
    """See every movement of an order's money: of your own, or as who keeps or audits the books."""
    row = orders.get_readable_order(session, actor, order_id)
    entries = ledger.statement_about(session, row.id)
    return reading.of([EntryRead.of(booked, row) for booked in entries])


@router.post("/orders/{order_id}/cancel", dependencies=IDEMPOTENT)
def cancel_order(order_id: UUID, session: SessionDep, actor: ActorDep) -> OrderRead:
    """Give an unpaid order's fractions back; what came of its price goes back."""
    return OrderRead.read(session, leaving.cancel_order(session, actor, order_id))


@router.post("/orders/{order_id}/annul", dependencies=IDEMPOTENT)
def annul_order(order_id: UUID, body: Reason, session: SessionDep, actor: ActorDep) -> OrderRead:
    """End somebody's unpaid order, which holds fractions; its buyer is told that it ended."""
    return OrderRead.read(
        session, leaving.annul_order(session, actor, order_id, reason=body.reason)
    )


@router.post("/orders/{order_id}/withdraw", dependencies=IDEMPOTENT)
def withdraw_order(order_id: UUID, session: SessionDep, actor: ActorDep) -> OrderRead:
    """Take a paid order back within its cooling-off; all of its money goes back."""
    return OrderRead.read(session, leaving.withdraw_order(session, actor, order_id))


@router.get("/orders/{order_id}/acceptances")
def list_acceptances(
    order_id: UUID, session: ReadSessionDep, reading: ReadingDep, actor: ActorDep
) -> list[AcceptanceRead]:
    """See which papers were accepted for an order, by which hash, by whom and when."""
    row = orders.get_readable_order(session, actor, order_id)
    kept = acceptance.list_acceptances(session, row)
    return reading.of([AcceptanceRead.of(each) for each in kept])


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

"""/v1/court_orders: received, authenticated, applied, lifted."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from api.as_of import LegalSessionDep
from api.deps import ActorDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.reading import ReadingDep
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.common import Page
from api.schemas.court_orders import (
    AuthenticationCreate,
    CourtOrderCreate,
    CourtOrderRead,
    CourtOrderVariationCreate,
    VacationCreate,
)
from registry.case import order_freeze
from registry.court_order import lifting
from registry.court_order import service as orders
from registry.court_order.models import CourtOrderState
from registry.reconciliation import service as reconciliation

router = resource_router("court orders")


@router.post("/court_orders", status_code=201, dependencies=IDEMPOTENT)
def receive_court_order(
    body: CourtOrderCreate, session: SessionDep, actor: ActorDep, response: Response
) -> CourtOrderRead:
    """Record an order that came in."""
    order = orders.receive_order(session, actor, body.new())
    response.headers["Location"] = f"/v1/court_orders/{order.id}"
    return CourtOrderRead.of(order)


@router.get("/court_orders")
def list_court_orders(
    session: LegalSessionDep,
    reading: ReadingDep,
    paging: PagingDep,
    state: CourtOrderState | None = None,
) -> Page[CourtOrderRead]:
    """List orders in the order in which they came in."""
    rows = orders.list_orders(session, state=state, after=paging.after_id, limit=paging.fetch)
    return reading.of(paging.page(rows, lambda row: str(row.id), CourtOrderRead.of))


@router.get("/court_orders/{order_id}")
def get_court_order(
    order_id: UUID, session: LegalSessionDep, reading: ReadingDep
) -> CourtOrderRead:
    """Read one order."""
    return reading.of(CourtOrderRead.of(orders.get_order(session, order_id)))


@router.post("/court_orders/{order_id}/authenticate", dependencies=IDEMPOTENT)
def authenticate_court_order(
    order_id: UUID, body: AuthenticationCreate, session: SessionDep, actor: ActorDep
) -> CourtOrderRead:
    """Record that the authority confirmed the order."""
    row = orders.authenticate_order(session, actor, order_id, confirmation=body.confirmation)
    return CourtOrderRead.of(row)


@router.post("/court_orders/{order_id}/reject", dependencies=IDEMPOTENT)
def reject_court_order(
    order_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> CourtOrderRead:
    """Say that it is not authentic; the second person decides it."""
    return CourtOrderRead.of(orders.reject_order(session, actor, order_id, reason=body.reason))


@router.post("/court_orders/{order_id}/apply", dependencies=IDEMPOTENT)
def apply_court_order(order_id: UUID, session: SessionDep, actor: ActorDep) -> CourtOrderRead:
    """Have register and chain obey, by somebody else than who authenticated it."""
    return CourtOrderRead.of(order_freeze.apply_order(session, actor, order_id))


@router.post("/court_orders/{order_id}/confirm", dependencies=IDEMPOTENT)
def confirm_court_order(order_id: UUID, session: SessionDep) -> CourtOrderRead:
    """Look whether the chain obeys: the order is then in force, else it goes on waiting."""
    return CourtOrderRead.of(reconciliation.confirm_order(session, order_id))


@router.post("/court_orders/{order_id}/vary", dependencies=IDEMPOTENT)
def vary_court_order(
    order_id: UUID, body: CourtOrderVariationCreate, session: SessionDep, actor: ActorDep
) -> CourtOrderRead:
    """Record that a new order changes this one; it is applied again."""
    row = lifting.vary_order(
        session,
        actor,
        order_id,
        document_sha256=bytes.fromhex(body.document_sha256),
        amount_units=int(body.amount_units) if body.amount_units else None,
        ends_on=body.ends_on,
    )
    return CourtOrderRead.of(row)


@router.post("/court_orders/{order_id}/vacate", dependencies=IDEMPOTENT)
def vacate_court_order(
    order_id: UUID, body: VacationCreate, session: SessionDep, actor: ActorDep
) -> CourtOrderRead:
    """Agree that it is vacated: compliance, then a registrar's checker; its freezes then end."""
    row = order_freeze.vacate_order(
        session,
        actor,
        order_id,
        role=body.role,
        vacating_sha256=bytes.fromhex(body.vacating_sha256),
        vacating_document_id=body.vacating_document_id,
    )
    return CourtOrderRead.of(row)


@router.post("/court_orders/{order_id}/lift", dependencies=IDEMPOTENT)
def lift_court_order(order_id: UUID, session: SessionDep) -> CourtOrderRead:
    """Close a vacated order, if the chain has released what it froze."""
    return CourtOrderRead.of(reconciliation.lift_order(session, order_id))

"""Readings of energy sites and counts of stored goods: what assets bring and hold."""

from __future__ import annotations

from uuid import UUID

from fastapi import Response

from api.as_of import LegalSessionDep
from api.deps import ActorDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.revealing import REVEALING
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.common import Page
from api.schemas.production import AuditCreate, AuditRead, ReadingCreate, ReadingRead
from registry.production import readings, stock

router = resource_router("production")


@router.post("/assets/{asset_id}/energy_readings", status_code=201, dependencies=IDEMPOTENT)
def report_energy_reading(
    asset_id: UUID, body: ReadingCreate, session: SessionDep, actor: ActorDep, response: Response
) -> ReadingRead:
    """Report what a site produced in a month that is over."""
    row = readings.report_reading(session, actor, asset_id, body.new())
    response.headers["Location"] = f"/v1/energy_readings/{row.id}"
    return ReadingRead.of(row)


@router.get("/assets/{asset_id}/energy_readings", dependencies=REVEALING)
def list_energy_readings(
    asset_id: UUID, session: LegalSessionDep, paging: PagingDep
) -> Page[ReadingRead]:
    """List the readings of a site in the order in which they were reported."""
    rows = readings.list_readings(session, asset_id, after=paging.after_id, limit=paging.fetch)
    return paging.page(rows, lambda row: str(row.id), ReadingRead.of)


@router.get("/energy_readings/{reading_id}", dependencies=REVEALING)
def get_energy_reading(reading_id: UUID, session: LegalSessionDep) -> ReadingRead:
    """Read one reading."""
    return ReadingRead.of(readings.get_reading(session, reading_id))


@router.post("/energy_readings/{reading_id}/confirm", dependencies=IDEMPOTENT)
def confirm_energy_reading(reading_id: UUID, session: SessionDep, actor: ActorDep) -> ReadingRead:
    """Confirm it, as another person than who reported it."""
    return ReadingRead.of(readings.confirm_reading(session, actor, reading_id))


@router.post("/energy_readings/{reading_id}/reject", dependencies=IDEMPOTENT)
def reject_energy_reading(
    reading_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> ReadingRead:
    """Refuse it, as another person than who reported it."""
    return ReadingRead.of(readings.reject_reading(session, actor, reading_id, reason=body.reason))


@router.post("/receipts/{receipt_id}/stock_audits", status_code=201, dependencies=IDEMPOTENT)
def record_stock_audit(
    receipt_id: UUID, body: AuditCreate, session: SessionDep, actor: ActorDep, response: Response
) -> AuditRead:
    """Record a count of the goods."""
    row = stock.record_audit(session, actor, receipt_id, body.new())
    response.headers["Location"] = f"/v1/receipts/{receipt_id}/stock_audits"
    return AuditRead.of(row)


@router.get("/receipts/{receipt_id}/stock_audits", dependencies=REVEALING)
def list_stock_audits(
    receipt_id: UUID, session: LegalSessionDep, paging: PagingDep
) -> Page[AuditRead]:
    """List the counts of a receipt's goods, oldest first."""
    rows = stock.list_audits(session, receipt_id, after=paging.after_id, limit=paging.fetch)
    return paging.page(rows, lambda row: str(row.id), AuditRead.of)

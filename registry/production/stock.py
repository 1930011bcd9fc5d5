"""Use case: record a count of stored goods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from uuid import UUID

from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import today
from registry.kernel.errors import Invalid
from registry.kernel.rows import page_after
from registry.production.models import StockAudit
from registry.receipt import service as receipts


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAudit:
    """A count as the auditor reports it; see `models.StockAudit`."""

    audited_on: date
    counted_kg: Decimal
    auditor: str
    report_sha256: bytes


def record_audit(session: Session, actor: Actor, receipt_id: UUID, new: NewAudit) -> StockAudit:
    """Record a count beside what the receipt says is in store; a loss is recorded by itself.

    Raises
    ------
    NotFound
        There is no such receipt.
    Invalid
        ``audit_dated_in_future``.
    """
    if new.audited_on > today():
        raise Invalid("audit_dated_in_future", "Nobody has counted yet.", field="/audited_on")
    receipt = receipts.get_receipt(session, receipt_id, lock=True)
    audit = StockAudit(
        receipt_id=receipt_id,
        audited_on=new.audited_on,
        counted_kg=new.counted_kg,
        expected_kg=receipt.qty_kg - receipt.loss_kg - receipt.delivered_kg,
        auditor=new.auditor,
        report_sha256=new.report_sha256,
        maker=actor.subject,
    )
    session.add(audit)
    session.flush()
    journal.record(
        session, actor, "stock_audited", "stock_audit", audit.id,
        receipt_id=str(receipt_id), counted_kg=str(audit.counted_kg),
        expected_kg=str(audit.expected_kg), report_sha256=new.report_sha256.hex(),
    )  # fmt: skip
    return audit


def list_audits(
    session: Session, receipt_id: UUID, *, after: UUID | None, limit: int
) -> Sequence[StockAudit]:
    """List the counts of a receipt's goods, oldest first."""
    receipts.get_receipt(session, receipt_id)
    query = select(StockAudit).where(col(StockAudit.receipt_id) == receipt_id)
    return session.exec(page_after(query, col(StockAudit.id), after=after, limit=limit)).all()

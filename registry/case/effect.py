"""From when on what a case did holds in law: the third clock of a cap table (ADR 0036)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.case.models import Case
from registry.court_order.models import CourtOrder
from registry.document.models import Document
from registry.kernel.rows import among


def effective_days(session: Session, case_ids: Collection[UUID]) -> Mapping[UUID, date]:
    """Give the day in law of what cases did: that of the order which one obeys, else of its paper.

    A case whose paper names no day, and one that is not known, are left out: the chain may name
    any.
    """
    if not case_ids:
        return {}
    day = func.coalesce(col(CourtOrder.issued_on), col(Document.issued_on))
    rows = session.exec(
        select(Case.id, day)
        .outerjoin(CourtOrder, col(CourtOrder.id) == col(Case.order_id))
        .outerjoin(Document, col(Document.id) == col(Case.document_id))
        .where(among(col(Case.id), set(case_ids)), day.is_not(None))
    )
    return dict(rows.all())

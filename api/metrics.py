"""Figures for Prometheus, read from the database when they are asked for."""

from __future__ import annotations

from prometheus_client import Gauge
from sqlalchemy import func
from sqlmodel import col, select

from registry.captable.models import SyncCursor
from registry.journal import health as journal
from registry.kernel.clock import now
from registry.kernel.db import ReadSession
from registry.operation.models import Operation, OperationState
from registry.reconciliation import service as reconciliation
from registry.reconciliation.checks import CHECKS

_OPERATIONS = Gauge("milkiyat_operations", "Operations by state", ["state"])
_OLDEST = Gauge(
    "milkiyat_operation_oldest_seconds", "Age of the oldest operation that has not ended"
)
_LAG = Gauge("milkiyat_sync_lag_blocks", "Blocks of the chain that are not projected")
_DEGRADED = Gauge("milkiyat_sync_degraded", "1 while the projection differs from the chain")
_BREAKS = Gauge("milkiyat_breaks_open", "Breaks of reconciliation that nobody closed", ["rule"])

_SEALED = Gauge("milkiyat_journal_sealed", "Rows of the journal that are sealed")
_WAITING = Gauge("milkiyat_journal_waiting", "Rows that wait for their seal")
_WAITING_SINCE = Gauge(
    "milkiyat_journal_waiting_seconds", "How long the first row in the queue waits for its seal"
)
_MISSING = Gauge("milkiyat_journal_rows_missing", "Rows that were gone before they were sealed")
_BROKEN = Gauge("milkiyat_journal_broken", "1 while the newest seal does not hold (AUD-01)")


def observe(session: ReadSession, chain_id: int) -> None:
    """Bring the gauges up to date."""
    counts = dict(
        session.exec(select(Operation.state, func.count()).group_by(col(Operation.state))).all()
    )
    for state in OperationState:
        _OPERATIONS.labels(state=state.value).set(counts.get(state, 0))
    oldest = session.exec(
        select(func.min(col(Operation.recorded_at))).where(col(Operation.ended_at).is_(None))
    ).one()
    _OLDEST.set((now() - oldest).total_seconds() if oldest else 0)
    cursor = session.get(SyncCursor, chain_id)
    _LAG.set(cursor.head_number - cursor.number if cursor else 0)
    _DEGRADED.set(1 if cursor and cursor.degraded else 0)
    breaks = reconciliation.count_open(session)
    for rule in CHECKS:
        _BREAKS.labels(rule=rule).set(breaks.get(rule, 0))
    _observe_journal(session)


def _observe_journal(session: ReadSession) -> None:
    health = journal.health_of(session)
    _SEALED.set(health.sealed)
    _WAITING.set(health.waiting)
    since = health.waiting_since
    _WAITING_SINCE.set((now() - since).total_seconds() if since else 0)
    _MISSING.set(health.missing)
    _BROKEN.set(1 if health.is_broken else 0)

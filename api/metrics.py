"""Figures for Prometheus, read from the database when they are asked for."""

from __future__ import annotations

from prometheus_client import Gauge
from sqlalchemy import func
from sqlmodel import col, select

from registry.captable.models import SyncCursor
from registry.kernel.clock import now
from registry.kernel.db import ReadSession
from registry.operation.models import Operation, OperationState

_OPERATIONS = Gauge("milkiyat_operations", "Operations by state", ["state"])
_OLDEST = Gauge(
    "milkiyat_operation_oldest_seconds", "Age of the oldest operation that has not ended"
)
_LAG = Gauge("milkiyat_sync_lag_blocks", "Blocks of the chain that are not projected")
_DEGRADED = Gauge("milkiyat_sync_degraded", "1 while the projection differs from the chain")


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

"""Figures for Prometheus, read from the database when they are asked for."""

from __future__ import annotations

from prometheus_client import Gauge
from sqlalchemy import func
from sqlmodel import col, select

from api.schemas.common import address_of
from registry.captable.models import SyncCursor
from registry.journal import health as journal
from registry.kernel.clock import now
from registry.kernel.db import ReadSession
from registry.operation import service as operations
from registry.operation.models import IN_FLIGHT, Operation, OperationAttempt, OperationState
from registry.reconciliation import service as reconciliation
from registry.reconciliation.checks import CHECKS

_OPERATIONS = Gauge("milkiyat_operations", "Operations by state", ["state"])
_OLDEST = Gauge(
    "milkiyat_operation_oldest_seconds", "Age of the oldest operation that has not ended"
)
_WAITS = Gauge(
    "milkiyat_operations_waiting", "Operations that wait for something, by its code", ["code"]
)
_BUMPED = Gauge("milkiyat_operation_bumps", "Attempts after the first of operations in flight")
_BALANCE = Gauge(
    "milkiyat_signer_balance_wei", "The chain's own money of a signing key", ["signer", "roles"]
)
_LASTS = Gauge(
    "milkiyat_signer_operations_left", "Operations that its money lasts for", ["signer", "roles"]
)
_LOW = Gauge(
    "milkiyat_signer_funds_low",
    "1 while it lasts for fewer than SIGNER_WARN_OPERATIONS",
    ["signer", "roles"],
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
    _observe_waiting(session)
    _observe_signers(session, chain_id)
    cursor = session.get(SyncCursor, chain_id)
    _LAG.set(cursor.head_number - cursor.number if cursor else 0)
    _DEGRADED.set(1 if cursor and cursor.degraded else 0)
    breaks = reconciliation.count_open(session)
    for rule in CHECKS:
        _BREAKS.labels(rule=rule).set(breaks.get(rule, 0))
    _observe_journal(session)


def _observe_waiting(session: ReadSession) -> None:
    code = col(Operation.waits_for)["code"].astext
    _WAITS.clear()
    for name, number in session.exec(
        select(code, func.count()).where(col(Operation.waits_for).is_not(None)).group_by(code)
    ).all():
        _WAITS.labels(code=name).set(number)
    _BUMPED.set(
        session.exec(
            select(func.count())
            .select_from(OperationAttempt)
            .join(Operation, col(Operation.id) == col(OperationAttempt.operation_id))
            .where(col(Operation.state).in_(IN_FLIGHT), col(OperationAttempt.seq) > 1)
        ).one()
    )


def _observe_signers(session: ReadSession, chain_id: int) -> None:
    for gauge in (_BALANCE, _LASTS, _LOW):
        gauge.clear()
    for watch in operations.list_signers(session, chain_id):
        labels = {"signer": address_of(watch.signer), "roles": watch.roles}
        _BALANCE.labels(**labels).set(watch.balance_wei)
        _LOW.labels(**labels).set(1 if watch.is_low else 0)
        if watch.operation_cost_wei:
            _LASTS.labels(**labels).set(watch.balance_wei // watch.operation_cost_wei)


def _observe_journal(session: ReadSession) -> None:
    health = journal.health_of(session)
    _SEALED.set(health.sealed)
    _WAITING.set(health.waiting)
    since = health.waiting_since
    _WAITING_SINCE.set((now() - since).total_seconds() if since else 0)
    _MISSING.set(health.missing)
    _BROKEN.set(1 if health.is_broken else 0)

"""Figures for Prometheus, read from the database when they are asked for."""

from __future__ import annotations

from prometheus_client import Gauge
from sqlalchemy import func
from sqlmodel import col, select

from api.schemas.common import address_of
from registry.alert import service as alerts
from registry.alert.models import AlertRule, AlertState
from registry.anchor import reading as anchors
from registry.captable.models import SyncCursor
from registry.captable.nodes import list_nodes
from registry.journal import health as journal
from registry.kernel.clock import now
from registry.kernel.db import ReadSession
from registry.operation import service as operations
from registry.operation.models import FAILED, IN_FLIGHT, Operation, OperationAttempt, OperationState
from registry.reconciliation import service as reconciliation
from registry.reconciliation.checks import CHECKS

_SIGNER = ("signer", "roles")
_NONCES = (*_SIGNER, "side")
_WHY = ("state", "code")

_OPERATIONS = Gauge("milkiyat_operations", "Operations by state", ["state"])
_OLDEST = Gauge(
    "milkiyat_operation_oldest_seconds",
    "Age of the oldest operation of a state that is no end",
    ["state"],
)
_FAILED = Gauge(
    "milkiyat_operations_failed", "Operations that failed, by the code of their problem", _WHY
)
_ATTEMPTS = Gauge("milkiyat_operation_attempts", "Transactions signed, ever")
_RAISED = Gauge("milkiyat_operation_fee_bumps", "Of these, signed again with a higher fee, ever")
_WAITS = Gauge(
    "milkiyat_operations_waiting", "Operations that wait for something, by its code", ["code"]
)
_BUMPED = Gauge("milkiyat_operation_bumps", "Attempts after the first of operations in flight")
_IN_FLIGHT = Gauge("milkiyat_signer_in_flight", "Transactions of a key that are not final", _SIGNER)
_NONCE = Gauge(
    "milkiyat_signer_nonce", "Next nonce of a key, as the chain has it and as we do", _NONCES
)
_NONCE_GAP = Gauge(
    "milkiyat_signer_nonce_gap",
    "Nonces given out that the chain has not used; below 0, the chain knows more than we do",
    _SIGNER,
)
_BALANCE = Gauge("milkiyat_signer_balance_wei", "The chain's own money of a signing key", _SIGNER)
_LASTS = Gauge("milkiyat_signer_operations_left", "Operations that its money lasts for", _SIGNER)
_LOW = Gauge(
    "milkiyat_signer_funds_low",
    "1 while it lasts for fewer than SIGNER_WARN_OPERATIONS",
    _SIGNER,
)
_LAG = Gauge("milkiyat_sync_lag_blocks", "Blocks of the chain that are not projected")
_NODE_UP = Gauge("milkiyat_node_up", "1 while a node of several is believed", ["node"])
_NODE_LAG = Gauge("milkiyat_node_lag_blocks", "Blocks that a node is behind", ["node"])
_NODE_OUT = Gauge("milkiyat_node_left_out", "1 while a node is not believed", ["node", "reason"])
_DEGRADED = Gauge("milkiyat_sync_degraded", "1 while the projection differs from the chain")
_BREAKS = Gauge("milkiyat_breaks_open", "Breaks of reconciliation that nobody closed", ["rule"])

_ALERTS = Gauge("milkiyat_alerts", "Alerts by rule and state", ["rule", "state"])

_SEALED = Gauge("milkiyat_journal_sealed", "Rows of the journal that are sealed")
_ANCHORED = Gauge("milkiyat_journal_anchored", "Rows that lie under a root on chain")
_WAITING = Gauge("milkiyat_journal_waiting", "Rows that wait for their seal")
_WAITING_SINCE = Gauge(
    "milkiyat_journal_waiting_seconds", "How long the first row in the queue waits for its seal"
)
_MISSING = Gauge("milkiyat_journal_rows_missing", "Rows that were gone before they were sealed")
_BROKEN = Gauge("milkiyat_journal_broken", "1 while the newest seal does not hold (AUD-01)")


def observe(session: ReadSession, chain_id: int) -> None:
    """Bring the gauges up to date."""
    _observe_states(session)
    _observe_attempts(session)
    _observe_waiting(session)
    _observe_signers(session, chain_id)
    _observe_nodes(session, chain_id)
    cursor = session.get(SyncCursor, chain_id)
    _LAG.set(cursor.head_number - cursor.number if cursor else 0)
    _DEGRADED.set(1 if cursor and cursor.degraded else 0)
    breaks = reconciliation.count_open(session)
    for rule in CHECKS:
        _BREAKS.labels(rule=rule).set(breaks.get(rule, 0))
    counted = alerts.count_by_state(session)
    for alert_rule in AlertRule:
        for state in AlertState:
            _ALERTS.labels(rule=alert_rule, state=state).set(counted.get((alert_rule, state), 0))
    _observe_journal(session)
    _ANCHORED.set(anchors.largest_mined(session, chain_id))


def _observe_states(session: ReadSession) -> None:
    code = col(Operation.problem)["code"].astext
    found = session.exec(
        select(Operation.state, code, func.count(), func.min(col(Operation.recorded_at))).group_by(
            col(Operation.state), code
        )
    ).all()
    _FAILED.clear()
    for state in OperationState:
        rows = [(why, number) for of, why, number, _ in found if of == state]
        _OPERATIONS.labels(state=state.value).set(sum(number for _, number in rows))
        for why, number in rows:
            if state in FAILED:
                _FAILED.labels(state=state.value, code=why or "none").set(number)
        if state not in FAILED and state != OperationState.FINAL:
            oldest = min((since for of, _, _, since in found if of == state), default=None)
            _OLDEST.labels(state=state.value).set((now() - oldest).total_seconds() if oldest else 0)


def _observe_attempts(session: ReadSession) -> None:
    # Both columns stand in one index: the signed bytes are not read.
    counted = select(func.count(), func.count().filter(col(OperationAttempt.seq) > 1))
    attempts, raised = session.exec(counted.select_from(OperationAttempt)).one()
    _ATTEMPTS.set(attempts)
    _RAISED.set(raised)


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
    for gauge in (_BALANCE, _LASTS, _LOW, _IN_FLIGHT, _NONCE, _NONCE_GAP):
        gauge.clear()
    flying = operations.count_in_flight(session)
    for watch in operations.list_signers(session, chain_id):
        labels = {"signer": address_of(watch.signer), "roles": watch.roles}
        _BALANCE.labels(**labels).set(watch.balance_wei)
        _LOW.labels(**labels).set(1 if watch.is_low else 0)
        _IN_FLIGHT.labels(**labels).set(flying.get(watch.signer, 0))
        for side, nonce in (("chain", watch.chain_nonce), ("ours", watch.next_nonce)):
            if nonce is not None:
                _NONCE.labels(**labels, side=side).set(nonce)
        if watch.nonce_gap is not None:
            _NONCE_GAP.labels(**labels).set(watch.nonce_gap)
        if watch.operation_cost_wei:
            _LASTS.labels(**labels).set(watch.balance_wei // watch.operation_cost_wei)


def _observe_nodes(session: ReadSession, chain_id: int) -> None:
    for gauge in (_NODE_UP, _NODE_LAG, _NODE_OUT):
        gauge.clear()
    for node in list_nodes(session, chain_id):
        name = f"{node.position} {node.name}"
        _NODE_UP.labels(node=name).set(1 if node.is_healthy else 0)
        _NODE_LAG.labels(node=name).set(node.lag_blocks)
        if not node.is_healthy:
            _NODE_OUT.labels(node=name, reason=node.state).set(1)


def _observe_journal(session: ReadSession) -> None:
    health = journal.health_of(session)
    _SEALED.set(health.sealed)
    _WAITING.set(health.waiting)
    since = health.waiting_since
    _WAITING_SINCE.set((now() - since).total_seconds() if since else 0)
    _MISSING.set(health.missing)
    _BROKEN.set(1 if health.is_broken else 0)

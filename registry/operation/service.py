"""Planning operations: the outbox, written in the transaction of the request itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, text
from sqlmodel import Session, col, select

from registry.kernel import tracing
from registry.kernel.actor import Actor
from registry.kernel.rows import get_row, page_after
from registry.operation.models import (
    FAILED,
    IN_FLIGHT,
    Operation,
    OperationAttempt,
    OperationDependency,
    OperationKind,
    SignerWatch,
)

WAKE_CHANNEL = "milkiyat_operation"
"""PostgreSQL channel on which the worker hears, at commit, that there is something to do."""


def plan(
    session: Session,
    actor: Actor,
    kind: OperationKind,
    *,
    key: str,
    subject: tuple[str, object],
    params: dict[str, Any],
    after: Sequence[Operation] = (),
) -> Operation:
    """Plan one operation, or return the one that was planned under the same `key`.

    An operation that failed had no effect on chain, so it gives its key up to a new one.

    Parameters
    ----------
    key
        Names the effect. The database holds it unique, so an effect is planned once.
    subject
        Kind and id of the record that the operation serves.
    after
        Operations that must be on chain first.
    """
    planned = find_by_key(session, key)
    if planned is not None and planned.state not in FAILED:
        return planned
    if planned is not None:
        planned.key = f"{key}#{planned.id}"
        session.flush()
    operation = Operation(
        kind=kind,
        key=key,
        subject_kind=subject[0],
        subject_id=str(subject[1]),
        requested_by=actor.subject,
        params=params,
    )
    named = {"milkiyat.operation.id": str(operation.id), "milkiyat.operation.kind": kind.value}
    with tracing.tracer().start_as_current_span("operation.plan", attributes=named):
        operation.traceparent = tracing.current_traceparent()
    session.add(operation)
    session.flush()
    session.add_all(
        OperationDependency(operation_id=operation.id, requires_id=earlier.id) for earlier in after
    )
    session.flush()
    session.connection().execute(text(f"NOTIFY {WAKE_CHANNEL}"))
    return operation


def find_by_key(session: Session, key: str) -> Operation | None:
    return session.exec(select(Operation).where(col(Operation.key) == key)).first()


def get_operation(session: Session, operation_id: UUID) -> Operation:
    """Return the operation.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Operation, operation_id, kind="operation")


def list_attempts(session: Session, operation: Operation) -> Sequence[OperationAttempt]:
    """List the signed transactions of an operation, or of its batch, oldest first."""
    return session.exec(
        select(OperationAttempt)
        .where(col(OperationAttempt.operation_id) == (operation.batch_id or operation.id))
        .order_by(col(OperationAttempt.seq))
    ).all()


def list_carried(session: Session, batch_id: UUID) -> Sequence[Operation]:
    """List the operations that a batch carries, in the order of its call."""
    return session.exec(
        select(Operation).where(col(Operation.batch_id) == batch_id).order_by(col(Operation.id))
    ).all()


def list_carried_ids(session: Session, batch_id: UUID) -> Sequence[UUID]:
    """List the ids of the operations that a batch carries, in the order of its call."""
    return session.exec(
        select(Operation.id).where(col(Operation.batch_id) == batch_id).order_by(col(Operation.id))
    ).all()


def list_operations(
    session: Session,
    *,
    subject_id: str | None,
    state: str | None,
    after: UUID | None,
    limit: int,
    kind: str | None = None,
    planned_before: datetime | None = None,
) -> Sequence[Operation]:
    """List operations, oldest first."""
    query = select(Operation)
    if subject_id is not None:
        query = query.where(col(Operation.subject_id) == subject_id)
    if state is not None:
        query = query.where(col(Operation.state) == state)
    if kind is not None:
        query = query.where(col(Operation.kind) == kind)
    if planned_before is not None:
        query = query.where(col(Operation.recorded_at) <= planned_before)
    return session.exec(page_after(query, col(Operation.id), after=after, limit=limit)).all()


def count_in_flight(session: Session) -> dict[bytes, int]:
    """Count the transactions of each key that are signed and not final."""
    rows = session.exec(
        select(Operation.signer, func.count())
        .where(col(Operation.state).in_(IN_FLIGHT), col(Operation.signer).is_not(None))
        .group_by(col(Operation.signer))
    ).all()
    return {bytes(signer): number for signer, number in rows if signer is not None}


def list_signers(session: Session, chain_id: int) -> Sequence[SignerWatch]:
    """List how the keys stand that were looked at, by address."""
    return session.exec(
        select(SignerWatch)
        .where(col(SignerWatch.chain_id) == chain_id, col(SignerWatch.wanted_operations) > 0)
        .order_by(col(SignerWatch.signer))
    ).all()

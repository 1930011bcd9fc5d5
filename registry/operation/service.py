"""Planning operations: the outbox, written in the transaction of the request itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from registry.kernel import tracing, waking
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.ids import new_id
from registry.kernel.rows import among, get_row, insert_many, page_after
from registry.operation.models import (
    IN_FLIGHT,
    Operation,
    OperationAttempt,
    OperationDependency,
    OperationKind,
    OperationState,
    SignerWatch,
    given_up_key,
)
from registry.operation.planned import HASH, tell

WAKE_CHANNEL = "milkiyat_operation"
"""PostgreSQL channel on which the worker hears, at commit, that there is something to do."""

WATCHED_WITHIN = timedelta(minutes=10)
"""A key whose last look lies that far behind another's is none of the service's any more."""

ANYTHING = ""
"""Said on that channel by whoever does not know what may be sent now."""


@dataclass(frozen=True, slots=True)
class NewOperation:
    """What `plan_all` plans; the fields are the parameters of `plan`, `after` by ids."""

    kind: OperationKind
    key: str
    subject: tuple[str, object]
    params: dict[str, Any]
    after: Sequence[UUID] = ()


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

    An operation that failed had no effect on chain, so it gives its key up to a new one; so does
    one that a reorg has taken back since, and that only spends its nonce.

    Parameters
    ----------
    key
        Names the effect. The database holds it unique, so an effect is planned once.
    subject
        Kind and id of the record that the operation serves.
    after
        Operations that must be on chain first.
    """
    new = NewOperation(kind, key, subject, params, [earlier.id for earlier in after])
    return plan_all(session, actor, [new])[key]


def plan_all(
    session: Session, actor: Actor, wanted: Collection[NewOperation]
) -> dict[str, Operation]:
    """Plan many operations with a few statements, each as `plan` would, and give them by key."""
    keys = [new.key for new in wanted]
    known = session.exec(select(Operation).where(among(col(Operation.key), keys))).all()
    found = {operation.key: operation for operation in known if not operation.has_failed}
    give_up_keys(session, [operation for operation in known if operation.has_failed])
    missing = {new.key: new for new in wanted if new.key not in found}
    if missing:
        rows = [_row(actor, new) for new in missing.values()]
        added = session.execute(insert_many(Operation, rows).returning(Operation, HASH)).all()
        found |= {operation.key: operation for operation, _ in added}
        tell(session, actor, {operation.id: sha256 for operation, sha256 in added})
        _add_dependencies(session, missing, found)
        for kind in sorted({new.kind.value for new in missing.values()}):
            wake(session, kind)
    return found


def give_up_keys(session: Session, failed: Iterable[Operation]) -> None:
    """Free the keys of operations that failed: their effects are planned anew, or by others."""
    for operation in failed:
        operation.key = given_up_key(operation)
    session.flush()


def wake(session: Session, kind: str = ANYTHING) -> None:
    """Have every worker look, once this transaction commits.

    Parameters
    ----------
    kind
        Of what was planned; otherwise anything may have become ready.
    """
    waking.wake(session, WAKE_CHANNEL, kind)


def is_anything_open(session: Session) -> bool:
    """Tell whether any operation is planned or on its way."""
    open_states = [OperationState.PLANNED, *IN_FLIGHT]
    query = select(Operation.id).where(col(Operation.state).in_(open_states)).limit(1)
    return session.exec(query).first() is not None


def _row(actor: Actor, new: NewOperation) -> dict[str, Any]:
    operation_id = new_id()
    return {
        "id": operation_id,
        "recorded_at": now(),
        "kind": new.kind,
        "key": new.key,
        "state": OperationState.PLANNED,
        "subject_kind": new.subject[0],
        "subject_id": str(new.subject[1]),
        "requested_by": actor.subject,
        "params": new.params,
        "result": {},
        "traceparent": _begin_trace(operation_id, new.kind) if tracing.is_on() else None,
    }


def _begin_trace(operation_id: UUID, kind: OperationKind) -> str | None:
    """Give the place in its trace from which workers go on."""
    named = {"milkiyat.operation.id": str(operation_id), "milkiyat.operation.kind": kind.value}
    with tracing.tracer().start_as_current_span("operation.plan", attributes=named):
        return tracing.current_traceparent()


def _add_dependencies(
    session: Session, planned: Mapping[str, NewOperation], found: Mapping[str, Operation]
) -> None:
    rows = [
        {"operation_id": found[key].id, "requires_id": earlier}
        for key, new in planned.items()
        for earlier in new.after
    ]
    if rows:
        session.execute(insert_many(OperationDependency, rows))


def let_wait_for(session: Session, failed: Operation, anew: Operation) -> None:
    """Let what is still planned behind an operation that failed wait for the one in its place."""
    planned = select(Operation.id).where(col(Operation.state) == OperationState.PLANNED)
    session.execute(
        update(OperationDependency)
        .where(
            col(OperationDependency.requires_id) == failed.id,
            col(OperationDependency.operation_id).in_(planned),
        )
        .values(requires_id=anew.id)
    )


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


def list_attempts_of(
    session: Session, found: Sequence[Operation]
) -> dict[UUID, list[OperationAttempt]]:
    """List the signed transactions of many operations, or of their batches, oldest first."""
    carriers = {operation.batch_id or operation.id for operation in found}
    rows = session.exec(
        select(OperationAttempt)
        .where(among(col(OperationAttempt.operation_id), carriers))
        .order_by(col(OperationAttempt.seq))
    ).all()
    signed: dict[UUID, list[OperationAttempt]] = {}
    for row in rows:
        signed.setdefault(row.operation_id, []).append(row)
    return {row.id: signed.get(row.batch_id or row.id, []) for row in found}


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
    """List how the keys stand that are looked at, by address.

    A key that is not in the settings any more is not looked at when the others are. All keep their
    last figures while no worker runs at all.
    """
    watched = (col(SignerWatch.chain_id) == chain_id, col(SignerWatch.wanted_operations) > 0)
    last = select(func.max(col(SignerWatch.watched_at))).where(*watched).scalar_subquery()
    return session.exec(
        select(SignerWatch)
        .where(*watched, col(SignerWatch.watched_at) > last - WATCHED_WITHIN)
        .order_by(col(SignerWatch.signer))
    ).all()

"""Many operations in one transaction: which go together, and what becomes of each.

A batch is an operation of its own: it owns the nonce and the attempts, and its rows follow its
states. A batch that reverts leaves its rows planned, to be sent again in smaller ones, so that a
bad row is in the end refused alone (ADR 0027).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import update
from sqlmodel import Session, col

from chain.operations import EFFECTS
from chain.signing.envelope import read_signed
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.rows import among
from registry.operation import service as operations
from registry.operation.models import (
    Operation,
    OperationAttempt,
    OperationKind,
    OperationState,
)
from registry.operation.planned import tell_of


def group(ready: Sequence[Operation], most: int) -> list[list[UUID]]:
    """Give what goes together, in the order in which the first of each was planned.

    Parameters
    ----------
    most
        Rows of one batch; 1 sends everything alone.
    """
    groups: list[list[UUID]] = []
    open_groups: dict[tuple[str, str, int], list[UUID]] = {}
    # Of each lane, the group that it stands at: an earlier one takes nothing more.
    at: dict[tuple[str, str], tuple[str, str, int]] = {}
    for operation in ready:
        effect = EFFECTS[operation.kind]
        shared, lane = effect.batch_key(operation), effect.lane(operation)
        rows = min(most, operation.batch_limit or most)
        key = (operation.kind, shared or str(operation.id), rows)
        if lane is not None:
            before = at.get((operation.kind, lane), key)
            if before != key:
                open_groups.pop(before, None)
            at[operation.kind, lane] = key
        if len(open_groups.get(key, ())) in {0, rows}:
            open_groups[key] = []
            groups.append(open_groups[key])
        open_groups[key].append(operation.id)
    return groups


def bind(
    session: Session,
    rows: Sequence[Operation],
    *,
    state: OperationState,
    batch_id: UUID | None = None,
) -> Operation:
    """Make the operation that carries several others of one kind, and bind them to it.

    Parameters
    ----------
    state
        To which all of them go with it.
    batch_id
        Its id, where the chain knows it already.
    """
    batch = Operation(
        kind=OperationKind.BATCH,
        key="",
        state=state,
        subject_kind="operation",
        subject_id=str(rows[0].id),
        requested_by=THE_SYSTEM.subject,
        params={"kind": rows[0].kind, "rows": len(rows)},
    )
    if batch_id is not None:
        batch.id = batch_id
    batch.key = f"batch:{batch.id}"
    session.add(batch)
    session.flush()
    tell_of(session, THE_SYSTEM, batch)
    session.execute(
        update(Operation)
        .where(among(col(Operation.id), [row.id for row in rows]))
        .values(batch_id=batch.id, state=state, ended_at=None, waits_for=None)
    )
    return batch


def whole(session: Session, operation: Operation) -> list[Operation]:
    """Give an operation with whatever it carries: they go through their states together."""
    if operation.kind != OperationKind.BATCH:
        return [operation]
    return [operation, *operations.list_carried(session, operation.id)]


def move(session: Session, operation: Operation, state: OperationState) -> None:
    """Take an operation, and whatever it carries, to another state of being on its way."""
    set_whole(session, operation, state=state, ended_at=None, waits_for=None)


def set_whole(session: Session, operation: Operation, **values: object) -> None:
    """Set the same columns of an operation and, in one statement, of whatever it carries."""
    for name, value in values.items():
        setattr(operation, name, value)
    session.add(operation)
    if operation.kind == OperationKind.BATCH:
        carried = col(Operation.batch_id) == operation.id
        session.execute(update(Operation).where(carried).values(**values))


def rows_of(session: Session, operation: Operation) -> list[Operation]:
    """Give what a transaction does for the register: what a batch carries, or the one itself."""
    if operation.kind != OperationKind.BATCH:
        return [operation]
    return list(operations.list_carried(session, operation.id))


def ids_of(session: Session, operation: Operation) -> list[UUID]:
    """Give the ids of what a batch carries, in the order of its call, and then its own."""
    if operation.kind != OperationKind.BATCH:
        return [operation.id]
    return [*operations.list_carried_ids(session, operation.id), operation.id]


def disband(session: Session, batch: Operation) -> None:
    """Leave the rows of a batch that reverted to be sent again, half as many at a time.

    Its nonce is spent, so what it carried cannot happen any more.
    """
    rows = operations.list_carried(session, batch.id)
    for row in rows:
        row.state, row.batch_id = OperationState.PLANNED, None
        row.waits_for = row.ended_at = None
        row.batch_limit = max(len(rows) // 2, 1)
        session.add(row)


def kind_of(operation: Operation) -> str:
    """Give the kind of an operation, or of what a batch carries."""
    if operation.kind == OperationKind.BATCH:
        return str(operation.params["kind"])
    return operation.kind


def is_empty_call(operation: Operation, attempt: OperationAttempt) -> bool:
    """Tell whether an attempt only spends the operation's nonce."""
    signed = read_signed(attempt.raw)
    return (signed.to, signed.data) == (operation.signer, b"")

"""How operations end that do not happen, and how the register hears of it."""

from __future__ import annotations

from typing import Any

from sqlmodel import Session

from chain.operations import EFFECTS
from chain.sending import batches
from registry.kernel.clock import now
from registry.operation import service as operations
from registry.operation.models import Operation, OperationState


def end(
    session: Session, operation: Operation, state: OperationState, problem: dict[str, Any]
) -> list[Operation]:
    """End an operation, with whatever it carries, as something that does not happen.

    Returns
    -------
    list[Operation]
        All that ended with it.
    """
    rows = batches.whole(session, operation)
    for row in rows:
        row.state, row.ended_at, row.waits_for = state, now(), None
        row.problem = problem
        session.add(row)
    session.flush()
    for row in rows:
        tell_failed(session, row)
    return rows


def tell_failed(session: Session, operation: Operation) -> None:
    """Tell the register that nothing happens; again, where a reorg had the end come twice.

    It may have waited for this end as well, while the nonce was still to be spent. What was planned
    anew meanwhile is told of by the operation in its place.
    """
    if not operation.is_given_up:
        EFFECTS[operation.kind].on_failed(session, operation)


def is_unwanted(session: Session, operation: Operation) -> bool:
    """Tell whether nobody wants it to happen, though its nonce is not spent for good.

    It had failed before a reorg took that end back, or an empty call was signed in its place.
    """
    return operation.problem is not None or any(
        batches.is_empty_call(operation, attempt)
        for attempt in operations.list_attempts(session, operation)
    )

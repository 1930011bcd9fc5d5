"""The steps of an operation as spans of the trace that planned it (ADR 0033).

Each operation carries the place of its planning in its trace, so that any worker, also one that
starts later, goes on with the same trace. An operation without one gets no spans.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from uuid import UUID

from opentelemetry.trace import Span, Status, StatusCode, use_span
from sqlmodel import Session, col, or_, select

from chain.node.client import hex_of
from registry.kernel import tracing
from registry.kernel.db import Database
from registry.kernel.masking import mask_text
from registry.operation import service as operations
from registry.operation.models import Operation, OperationAttempt

Value = str | int
PREFIX = "milkiyat."
NANOSECONDS = 10**9


class Spans:
    """The spans of one step: one for each operation that takes it."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans

    def note(self, **values: Value | None) -> None:
        """Add what became known meanwhile."""
        for span in self._spans:
            span.set_attributes(_named(values))

    def event(self, name: str, **values: Value | None) -> None:
        for span in self._spans:
            span.add_event(name, _named(values))


_NONE = Spans(())


@contextlib.contextmanager
def step(database: Database, name: str, rows: Sequence[UUID]) -> Iterator[Spans]:
    """Take a step with operations, or with the batch that carries them.

    An exception ends its spans as failed, and goes on.

    Parameters
    ----------
    rows
        Ids of operations or of batches.
    """
    if not tracing.is_on():
        yield _NONE
        return
    with database.transaction() as session:
        found = session.exec(
            select(Operation).where(
                or_(col(Operation.id).in_(rows), col(Operation.batch_id).in_(rows)),
                col(Operation.traceparent).is_not(None),
            )
        ).all()
    spans = [_start(operation, name) for operation in found]
    try:
        with _current(spans):
            yield Spans(spans)
    except Exception as fault:
        for span in spans:
            told = mask_text(f"{type(fault).__name__}: {fault}")
            span.set_status(Status(StatusCode.ERROR, told))
        raise
    finally:
        for span in spans:
            span.end()


def _current(spans: Sequence[Span]) -> AbstractContextManager[object]:
    """Have what is logged meanwhile name the first of them; what is not traced names none."""
    if not spans:
        return contextlib.nullcontext()
    return use_span(spans[0], record_exception=False, set_status_on_exception=False)


def mark(
    operation: Operation,
    name: str,
    *,
    since: datetime | None = None,
    failed: str | None = None,
    bumps: Sequence[OperationAttempt] = (),
    seen: Mapping[str, Value] | None = None,
) -> None:
    """Record what an operation has come to, as a span that ends now.

    Parameters
    ----------
    since
        When it began; now, where it took no time.
    failed
        Code of the problem with which it ended.
    bumps
        Attempts after the first: an event at the time of each.
    seen
        What else to tell.
    """
    if not tracing.is_on() or operation.traceparent is None:
        return
    span = _start(operation, name, since)
    span.set_attributes(_named(seen or {}))
    for attempt in bumps:
        told = _named({"tx": hex_of(attempt.tx_hash), "seq": attempt.seq})
        span.add_event("fee_bumped", told, _nanoseconds(attempt.signed_at))
    if failed is not None:
        span.set_status(Status(StatusCode.ERROR, failed))
    span.end()


def bumps_of(session: Session, operation: Operation) -> Sequence[OperationAttempt]:
    """List the attempts after the first; none while nothing is traced."""
    return operations.list_attempts(session, operation)[1:] if tracing.is_on() else ()


def _start(operation: Operation, name: str, since: datetime | None = None) -> Span:
    assert operation.traceparent is not None
    batch = str(operation.batch_id) if operation.batch_id else None
    known = {"operation.id": str(operation.id), "operation.kind": operation.kind.value}
    return tracing.tracer().start_span(
        f"operation.{name}",
        context=tracing.context_of({"traceparent": operation.traceparent}),
        attributes=_named({**known, "operation.batch_id": batch}),
        start_time=_nanoseconds(since) if since else None,
    )


def _named(values: Mapping[str, Value | None]) -> dict[str, Value]:
    return {PREFIX + name: value for name, value in values.items() if value is not None}


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * NANOSECONDS)

"""Several operations of one kind in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlmodel import Session, col, select

from chain.operations.effect import Call, Chain, Effect, PlainEffect
from registry.operation.models import Operation


class Batch(PlainEffect):
    """Does what its rows do; the tracker takes them through its states with it.

    Parameters
    ----------
    effects
        What carries out each kind of row.
    """

    def __init__(self, effects: Mapping[str, Effect]) -> None:
        self._effects = effects

    def prepare(self, session: Session, chain: Chain, operation: Operation) -> Call:
        rows = rows_of(session, operation)
        return self._effects[operation.params["kind"]].fold(session, chain, rows)


def rows_of(session: Session, batch: Operation) -> Sequence[Operation]:
    """List the operations that a batch carries, in the order of its call."""
    return session.exec(
        select(Operation).where(col(Operation.batch_id) == batch.id).order_by(col(Operation.id))
    ).all()

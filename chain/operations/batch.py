"""Several operations of one kind in one transaction."""

from __future__ import annotations

from collections.abc import Mapping

from sqlmodel import Session

from chain.operations.effect import Call, Chain, Effect, PlainEffect
from registry.operation import service as operations
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
        rows = operations.list_carried(session, operation.id)
        return self._effects[operation.params["kind"]].fold(session, chain, rows)

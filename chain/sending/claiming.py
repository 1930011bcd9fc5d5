"""Taking what is planned, in the transaction that signs it: locked, and its guards asked again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from uuid import UUID

from sqlmodel import Session, col, select

from chain.operations import EFFECTS
from chain.sending import batches
from registry.kernel.errors import RegistryError
from registry.kernel.rows import among
from registry.operation.models import Operation, OperationKind, OperationState


class Taken(Exception):
    """Another worker has some of what was to be signed."""


class Forbidden(Exception):
    """The register forbids some of what was to be signed."""

    def __init__(self, refusals: Mapping[UUID, RegistryError]) -> None:
        super().__init__(f"{len(refusals)} refused")
        self.refusals = refusals


def claim(session: Session, bunch: Sequence[Sequence[UUID]]) -> list[Operation]:
    """Lock what is planned, and give the operation that is to own the nonce of each transaction.

    Parameters
    ----------
    bunch
        The rows of each transaction.

    Raises
    ------
    Taken, Forbidden
    """
    wanted = [row for rows in bunch for row in rows]
    planned = session.exec(
        select(Operation)
        .where(among(col(Operation.id), wanted), col(Operation.state) == OperationState.PLANNED)
        .order_by(col(Operation.id))
        .with_for_update(skip_locked=True)
    ).all()
    if len(planned) != len(wanted):
        raise Taken
    if refusals := _refusals(session, planned):
        raise Forbidden(refusals)
    found = {operation.id: operation for operation in planned}
    return [
        found[rows[0]]
        if len(rows) == 1
        else batches.bind(session, [found[row] for row in rows], state=OperationState.SIGNED)
        for rows in bunch
    ]


def _refusals(session: Session, planned: Sequence[Operation]) -> dict[UUID, RegistryError]:
    """Ask the guards, once for all that share what these look at.

    In an order of its own: they lock what they look at, and another worker does the same.
    """
    shared: dict[tuple[OperationKind, str], list[Operation]] = {}
    for operation in planned:
        key = EFFECTS[operation.kind].batch_key(operation) or str(operation.id)
        shared.setdefault((operation.kind, key), []).append(operation)
    refused: dict[UUID, RegistryError] = {}
    for (kind, _), some in sorted(shared.items(), key=itemgetter(0)):
        refused |= EFFECTS[kind].refusals(session, some)
    return refused

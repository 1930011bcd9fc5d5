"""Binding a transaction that the chain has to the operation that it carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from sqlalchemy import func
from sqlmodel import Session, col, select

from chain.node.client import hex_of
from chain.operations.effect import Call, Chain
from chain.sending import batches, endings
from chain.sending.matching import find_alike, find_rows_alike
from chain.sending.outbox import note_waiting
from chain.sending.own_transactions import OwnTransaction
from chain.sending.resender import UNMINED
from chain.sending.steps import mark
from chain.sending.trailer import SIZE, read_ids
from registry.kernel.clock import now
from registry.kernel.ids import made_at
from registry.operation.errors import operation_problem
from registry.operation.models import (
    Operation,
    OperationAttempt,
    OperationState,
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Bound:
    """The operation that a transaction carried out, or why there is none.

    Parameters
    ----------
    is_lost
        It names one that was planned after the backup was taken.
    """

    operation_id: UUID | None = None
    note: str = ""
    is_lost: bool = False


def bind(
    session: Session, chain: Chain, own: OwnTransaction, *, is_final: bool, accept: bool
) -> Bound:
    """Find whose transaction this is, and make it an attempt of that operation.

    Parameters
    ----------
    is_final
        Whether no reorg can take it back: only then another operation loses its nonce to it.
    accept
        A person has looked at it: what is unknown of it is left out.
    """
    if own.transaction is None:
        return Bound(note="of a form that the service never signs")
    holder = session.exec(
        select(Operation)
        .where(col(Operation.signer) == own.signer, col(Operation.nonce) == own.nonce)
        .with_for_update()
    ).first()
    ids = read_ids(own.data)
    if holder is not None and holder.state in UNMINED and (own.is_empty or holder.id in ids[-1:]):
        _add_attempt(session, holder, own)
        return Bound(holder.id)
    found = _owner(session, chain, own, ids, accept=accept)
    if holder is not None:
        if not is_final or not (accept or isinstance(found, Operation)):
            _doubt(session, holder, own)
            return Bound(note=f"it took the nonce of operation {holder.id}")
        _lose_nonce(session, holder, own)
    if isinstance(found, Bound):
        return found
    found.signer, found.nonce = own.signer, own.nonce
    _add_attempt(session, found, own)
    batches.move(session, found, OperationState.BROADCAST)
    return Bound(found.id)


def _owner(
    session: Session, chain: Chain, own: OwnTransaction, ids: Sequence[UUID], *, accept: bool
) -> Operation | Bound:
    """Give the planned operation that this carried out, or say why there is none."""
    if own.is_empty:
        return Bound(note="an empty call")
    plain = Call(own.to, own.data[: len(own.data) - SIZE * len(ids)])
    found = _named(session, chain, ids, plain, accept=accept) if ids else None
    if found is None:
        found = find_alike(session, chain, plain)
    if found is None and ids:
        planned = made_at(ids[-1]).isoformat(timespec="seconds")
        return Bound(
            note=f"it carried out operation {ids[-1]}, of {planned}, which the database has lost",
            is_lost=True,
        )
    return found or Bound(note="it names no operation")


def _named(
    session: Session, chain: Chain, ids: Sequence[UUID], plain: Call, *, accept: bool
) -> Operation | Bound | None:
    """Give the operation that the data names; None where the database has nothing of it."""
    owner = session.get(Operation, ids[-1], with_for_update=True)
    if owner is not None and owner.state == OperationState.PLANNED:
        return owner
    if owner is not None:
        note = f"it names operation {owner.id}, which is {owner.state} by another transaction"
        return Bound(note=note)
    carried = ids[:-1]
    rows = _planned(session, carried)
    if carried and len(rows) < len(carried):
        rows = find_rows_alike(session, chain, carried, plain) or rows
    if rows and (accept or len(rows) == len(carried)):
        return batches.bind(session, rows, state=OperationState.PLANNED, batch_id=ids[-1])
    if rows:
        note = f"a batch of {len(carried)}, of which the database knows {len(rows)}"
        return Bound(note=note, is_lost=True)
    return None


def _planned(session: Session, ids: Sequence[UUID]) -> list[Operation]:
    return list(
        session.exec(
            select(Operation)
            .where(col(Operation.id).in_(ids), col(Operation.state) == OperationState.PLANNED)
            .order_by(col(Operation.id))
            .with_for_update()
        ).all()
    )


def _add_attempt(session: Session, operation: Operation, own: OwnTransaction) -> None:
    assert own.transaction is not None
    earlier = session.exec(
        select(func.max(col(OperationAttempt.seq))).where(
            col(OperationAttempt.operation_id) == operation.id
        )
    ).one()
    session.add(
        OperationAttempt(
            tx_hash=own.tx_hash,
            operation_id=operation.id,
            seq=(earlier or 0) + 1,
            raw=own.raw,
            gas=own.transaction.gas,
            max_fee_wei=own.transaction.max_fee_wei,
            tip_wei=own.transaction.tip_wei,
            signed_at_block=own.block_number,
            signed_at=now(),
            last_sent_at=now(),
        )
    )


def _doubt(session: Session, holder: Operation, own: OwnTransaction) -> None:
    """Tell why an operation does not go on: it has lost its nonce, and may yet get it back."""
    problem = operation_problem(
        "nonce_in_doubt",
        f"Another transaction, {hex_of(own.tx_hash)}, stands at its nonce {own.nonce}.",
        remedy="Look at it, then run: milkiyat operations rebuild --accept-foreign",
    )
    note_waiting(session, [row.id for row in batches.whole(session, holder)], problem)


def _lose_nonce(session: Session, holder: Operation, own: OwnTransaction) -> None:
    """End an operation whose nonce something else has spent for good: it cannot happen any more.

    What a batch carried can, in another one, where nobody wanted it gone.
    """
    taken = operation_problem(
        "nonce_taken",
        f"Another transaction, {hex_of(own.tx_hash)}, took its nonce {own.nonce}.",
        remedy=f"Plan it anew: milkiyat operations retry {holder.id}",
    )
    if holder.problem is not None:
        taken = holder.problem | {"replaced_by": hex_of(own.tx_hash)}
    if not endings.is_unwanted(session, holder):
        batches.disband(session, holder)
    holder.signer = holder.nonce = None
    for row in endings.end(session, holder, OperationState.REPLACED, taken):
        mark(row, "replaced", failed=str(taken["code"]), seen={"tx": hex_of(own.tx_hash)})

"""What a person may do with one operation: plan a failed one anew, or cancel one that waits."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session, col, select

from chain.node.client import hex_of
from chain.operations import EFFECTS
from chain.operations.effect import Chain, PlainEffect
from chain.sending.attempts import Attempts
from chain.sending.fees import Fees
from chain.sending.outbox import refuse
from chain.sending.resender import UNMINED, nothing_on
from chain.signing.port import Signer
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from registry.kernel.masking import mask_fields
from registry.operation import service as operations
from registry.operation.errors import operation_problem
from registry.operation.models import (
    Operation,
    OperationDependency,
    OperationKind,
    OperationState,
)

PLAIN = {PlainEffect.on_failed}
"""What an effect does at a failure of which the register takes no notice."""


def retry(session: Session, actor: Actor, operation_id: UUID) -> Operation:
    """Plan an operation that failed anew, under its key; return the new one.

    What is still planned behind it waits for the new one.

    Raises
    ------
    NotFound
        There is none of that id.
    Conflict
        ``operation_not_failed``, ``operation_planned_anew``, ``operation_retried_elsewhere``, or
        ``dependency_failed``.
    """
    failed = operations.get_operation(session, operation_id)
    if not failed.has_failed:
        raise Conflict("operation_not_failed", f"The operation is {failed.state}.")
    tells_register = getattr(type(EFFECTS[failed.kind]), "on_failed", None) not in PLAIN
    if tells_register or failed.subject_kind == "order" or failed.kind == OperationKind.BATCH:
        # The register went on when it failed; only its own use case knows how to begin again.
        raise Conflict(
            "operation_retried_elsewhere",
            f"The register knows that this {failed.kind} failed, and has gone on.",
            remedy=f"Ask for the step again where {failed.subject_kind} {failed.subject_id} is.",
        )
    key = _key_of(failed)
    current = operations.find_by_key(session, key)
    if current is not None and not current.has_failed:
        raise Conflict("operation_planned_anew", f"Operation {current.id} does it already.")
    anew = operations.plan(
        session,
        actor,
        failed.kind,
        key=key,
        subject=(failed.subject_kind, failed.subject_id),
        params=failed.params,
        after=_required(session, failed),
    )
    operations.let_wait_for(session, failed, anew)
    journal.record(session, actor, "operation_retried", "operation", failed.id, anew=str(anew.id))
    return anew


def _required(session: Session, failed: Operation) -> list[Operation]:
    """Give what must come first now: each, or what was planned in the place of one that failed."""
    found = []
    for earlier in session.exec(
        select(Operation)
        .join(OperationDependency, col(OperationDependency.requires_id) == col(Operation.id))
        .where(col(OperationDependency.operation_id) == failed.id)
    ).all():
        current = operations.find_by_key(session, _key_of(earlier)) or earlier
        if current.has_failed:
            raise Conflict(
                "dependency_failed",
                f"The {current.kind} that must come first has failed.",
                remedy=f"Retry operation {current.id} first.",
            )
        found.append(current)
    return found


def _key_of(operation: Operation) -> str:
    """Give the key of the effect, which a failed operation gives up to the next one."""
    return operation.key.removesuffix(f"#{operation.id}")


def cancel_planned(session: Session, actor: Actor, operation_id: UUID, *, reason: str) -> bool:
    """Refuse an operation of which nothing was sent; False where something was.

    Raises
    ------
    NotFound
        There is none of that id.
    Conflict
        ``operation_ended``, or ``operation_carried``: a batch carries it.
    """
    operation = operations.get_operation(session, operation_id)
    session.refresh(operation, with_for_update=True)
    if operation.state not in {OperationState.PLANNED, *UNMINED}:
        raise Conflict("operation_ended", f"The operation is {operation.state}.")
    if operation.batch_id is not None:
        raise Conflict(
            "operation_carried",
            f"Batch {operation.batch_id} carries it.",
            remedy="Cancel the batch; all of its operations are cancelled with it.",
        )
    if operation.state != OperationState.PLANNED:
        return False
    journal.record(session, actor, "operation_cancelled", "operation", operation.id, reason=reason)
    problem = operation_problem(
        "operation_cancelled",
        "A person cancelled it.",
        reason=mask_fields(reason),
        by=actor.subject,
    )
    refuse(session, operation, problem)
    return True


def cancel_sent(
    database: Database, chain: Chain, actor: Actor, operation_id: UUID, *, reason: str
) -> bytes:
    """Offer the chain an empty call on the operation's nonce, and return its hash.

    Whichever of the two is mined, happens: it ends as replaced, or as final after all.

    Raises
    ------
    Conflict
        ``operation_ended``; ``signer_unknown``: its key is none of the settings.
    """
    with database.transaction() as session:
        operation = session.get_one(Operation, operation_id, with_for_update=True)
        if operation.state not in UNMINED:
            raise Conflict("operation_ended", f"The operation is {operation.state}.")
        signer = _signer_of(chain, operation)
        attempts = Attempts(database, chain, signer)
        fees = Fees(chain.client, chain.fees, signer.address)
        attempt = attempts.sign(session, operation, nothing_on(session, chain, fees, operation))
        journal.record(
            session, actor, "operation_cancelled", "operation", operation.id, reason=reason
        )
        session.flush()
        session.expunge(attempt)
    attempts.broadcast([attempt])
    return attempt.tx_hash


def _signer_of(chain: Chain, operation: Operation) -> Signer:
    for key in chain.senders:
        if key.address == operation.signer:
            return key
    raise Conflict(
        "signer_unknown",
        f"{hex_of(operation.signer or b'')} is no key of the settings.",
        remedy="Name it in SIGNER_AGENTS or another setting of keys.",
    )

"""Operations over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from sqlmodel import Session

from api.schemas.common import BigInteger, Read, WithAddresses, address_of, hash_of
from registry.captable.models import SyncCursor
from registry.operation import service as operations
from registry.operation.models import Operation, OperationAttempt, OperationKind, OperationState


class AttemptRead(Read):
    """One signed transaction of an operation."""

    tx_hash: str
    seq: int
    gas: int
    max_fee_wei: BigInteger
    signed_at: datetime
    last_sent_at: datetime | None
    block_number: int | None
    block_hash: str | None
    confirmations: int | None

    @classmethod
    def of(cls, attempt: OperationAttempt, head_number: int | None) -> Self:
        mined, head = attempt.block_number, head_number
        return cls(
            **attempt.model_dump(exclude={"tx_hash", "block_hash"}),
            tx_hash=hash_of(attempt.tx_hash),
            block_hash=hash_of(attempt.block_hash) if attempt.block_hash else None,
            confirmations=max(head - mined, 0) if head is not None and mined is not None else None,
        )


class OperationRead(Read):
    """What the chain is doing for you.

    One that shares its transaction with others names their `batch_id`, and shows its attempts.
    `problem` says why it has failed: for good, also while an empty call takes its nonce once more.
    `waits_for` says, in the form of a problem, why it does not go on though it has not failed.
    """

    id: UUID
    kind: OperationKind
    state: OperationState
    subject_kind: str
    subject_id: str
    signer: str | None
    nonce: int | None
    batch_id: UUID | None
    result: WithAddresses
    problem: dict[str, Any] | None
    waits_for: dict[str, Any] | None
    recorded_at: datetime
    ended_at: datetime | None
    attempts: list[AttemptRead]

    @classmethod
    def of(cls, session: Session, chain_id: int, operation: Operation) -> Self:
        (shown,) = cls.of_all(session, chain_id, [operation])
        return shown

    @classmethod
    def of_all(cls, session: Session, chain_id: int, found: Sequence[Operation]) -> list[Self]:
        """Show many, with one look at their attempts."""
        cursor = session.get(SyncCursor, chain_id)
        head = cursor.head_number if cursor else None
        signed = operations.list_attempts_of(session, found)
        return [
            cls(
                **operation.model_dump(exclude={"signer"}),
                signer=address_of(operation.signer) if operation.signer else None,
                attempts=[AttemptRead.of(attempt, head) for attempt in signed[operation.id]],
            )
            for operation in found
        ]

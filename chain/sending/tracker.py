"""Following sent operations to their end: mined, final, or reverted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from sqlmodel import Session, col, select

from chain.contracts.abi import read_revert
from chain.errors import ChainError, Reverted, RpcRefused
from chain.node.client import Receipt, bytes_of, hex_of
from chain.node.finality import final_height
from chain.operations import EFFECTS
from chain.operations.effect import Chain
from chain.sending import batches, endings
from chain.sending.faults import contained
from chain.sending.outbox import revert_problem
from chain.sending.steps import bumps_of, mark
from chain.signing.envelope import read_signed
from registry.kernel import failpoints, tracing
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.settings import Finality
from registry.operation import service as operations
from registry.operation.errors import operation_problem
from registry.operation.models import (
    IN_FLIGHT,
    Operation,
    OperationAttempt,
    OperationState,
)

log = structlog.get_logger()

CANCELLED = "operation_cancelled"


@dataclass(frozen=True, slots=True)
class _Flight:
    """An operation on its way, and one of its attempts."""

    operation: Operation
    attempt: OperationAttempt


class Tracker:
    """Reads receipts and moves operations on.

    Parameters
    ----------
    finality
        What makes a block final: a setting of the chain.
    """

    def __init__(self, database: Database, chain: Chain, *, finality: Finality) -> None:
        self._database = database
        self._chain = chain
        self._finality = finality
        self.is_following = False
        """Whether anything was in flight at the last look."""

    def follow(self) -> int:
        """Look at every operation in flight once.

        Returns
        -------
        int
            Operations that moved.
        """
        flights = self._flights()
        self.is_following = bool(flights)
        if not flights:
            return 0
        # The head first: a receipt read later can only be deeper than we then think.
        client = self._chain.client
        final = final_height(client, self._finality, client.block_number())
        standing = self._standing(flights)
        moved = 0
        for flight in standing.values():
            if _height(flight) <= final:
                with contained(flight.operation.id, tx=hex_of(flight.attempt.tx_hash)):
                    moved += self._record_final(flight)
        asked = self._unknown(flights, standing)
        receipts = client.receipts([flight.attempt.tx_hash for flight in asked])
        for flight, receipt in zip(asked, receipts, strict=True):
            with contained(flight.operation.id, tx=hex_of(flight.attempt.tx_hash)):
                moved += self._move(flight, receipt, final)
        return moved

    def _standing(self, flights: Sequence[_Flight]) -> dict[UUID, _Flight]:
        """Give what was seen mined, by operation, where that block is the chain's still.

        Its receipt says nothing new, and that of a large batch is a megabyte.
        """
        mined = [
            flight
            for flight in flights
            if flight.operation.state == OperationState.MINED
            and flight.attempt.block_number is not None
        ]
        standing = self._chain.client.standing(map(_height, mined))
        return {
            flight.operation.id: flight
            for flight in mined
            if (flight.attempt.block_number, flight.attempt.block_hash) in standing
        }

    def _unknown(
        self, flights: Sequence[_Flight], standing: Mapping[UUID, _Flight]
    ) -> list[_Flight]:
        """Give those whose receipt may say something: the chain has come to their nonce."""
        client = self._chain.client
        signers = {flight.operation.signer for flight in flights}
        used = {signer: client.nonce(signer) for signer in signers if signer is not None}
        return [
            flight
            for flight in flights
            if flight.operation.id not in standing
            and (flight.operation.state == OperationState.MINED or _is_used(flight, used))
        ]

    def _flights(self) -> list[_Flight]:
        with self._database.transaction() as session:
            rows = session.exec(
                select(Operation, OperationAttempt)
                .join(OperationAttempt, col(OperationAttempt.operation_id) == col(Operation.id))
                .where(
                    col(Operation.state).in_(IN_FLIGHT),
                    col(Operation.signer).in_([key.address for key in self._chain.senders]),
                )
                .order_by(col(Operation.nonce), col(OperationAttempt.seq))
            )
            return [_Flight(operation, attempt) for operation, attempt in rows]

    def _move(self, flight: _Flight, receipt: Receipt | None, final: int) -> int:
        was_mined = flight.operation.state == OperationState.MINED
        if receipt is None:
            return self._take_back(flight) if was_mined else 0
        is_final = receipt.block_number <= final
        if not receipt.succeeded:
            return self._record_revert(flight, receipt) if is_final else 0
        if batches.is_empty_call(flight.operation, flight.attempt):
            return self._record_spent(flight, receipt) if is_final else 0
        moved = 0
        if not was_mined or flight.attempt.block_hash != receipt.block_hash:
            moved = self._record_mined(flight, receipt)
        if is_final:
            moved = self._record_final(flight)
        return moved

    def _take_back(self, flight: _Flight) -> int:
        """Follow again what a reorg took out of its block."""
        with self._database.transaction() as session:
            operation = session.get_one(Operation, flight.operation.id, with_for_update=True)
            attempt = session.get_one(OperationAttempt, flight.attempt.tx_hash)
            if operation.state != OperationState.MINED or attempt.block_hash is None:
                return 0
            batches.move(session, operation, OperationState.BROADCAST)
            attempt.block_number = attempt.block_hash = attempt.last_sent_at = None
            session.add(attempt)
            for row in batches.whole(session, operation):
                mark(row, "unmined", seen={"tx": hex_of(attempt.tx_hash)})
            failpoints.reach("before_unmined_commit")
        failpoints.reach("after_unmined_commit")
        log.warning(
            "operation_unmined", operation=str(operation.id), tx=hex_of(flight.attempt.tx_hash)
        )
        return 1

    def _record_mined(self, flight: _Flight, receipt: Receipt) -> int:
        with self._database.transaction() as session:
            operation = session.get_one(Operation, flight.operation.id, with_for_update=True)
            if operation.state not in IN_FLIGHT:
                return 0
            _note_block(session, flight, receipt)
            bumps = bumps_of(session, operation)
            batches.set_whole(session, operation, state=OperationState.MINED, waits_for=None)
            effect = EFFECTS[batches.kind_of(operation)]
            wanted = effect.records_mined or tracing.is_on()
            rows = batches.rows_of(session, operation) if wanted else []
            if effect.records_mined:
                effect.all_mined(session, self._chain, rows, receipt)
            for row in rows:
                signed_at = flight.attempt.signed_at
                mark(row, "mined", since=signed_at, bumps=bumps, seen=_seen(receipt))
            # What depends on it may be sent now.
            operations.wake(session)
            failpoints.reach("before_mined_commit")
        failpoints.reach("after_mined_commit")
        log.info(
            "operation_mined",
            operation=str(operation.id),
            kind=operation.kind,
            tx=hex_of(receipt.tx_hash),
            block=receipt.block_number,
            gas=receipt.gas_used,
        )
        return 1

    def _record_final(self, flight: _Flight) -> int:
        seen = {"tx": hex_of(flight.attempt.tx_hash)}
        with self._database.transaction() as session:
            operation = session.get_one(Operation, flight.operation.id, with_for_update=True)
            if operation.state != OperationState.MINED:
                return 0
            # What had failed, and a reorg has brought about after all, has not failed.
            batches.set_whole(
                session, operation, state=OperationState.FINAL, ended_at=now(), problem=None
            )
            rows = batches.rows_of(session, operation)
            EFFECTS[batches.kind_of(operation)].all_final(session, rows)
            for row in rows:
                mark(row, "final", since=row.recorded_at, seen=seen)
            failpoints.reach("before_final_commit")
        failpoints.reach("after_final_commit")
        log.info("operation_final", operation=str(operation.id), kind=operation.kind, **seen)
        return 1

    def _record_spent(self, flight: _Flight, receipt: Receipt) -> int:
        """End what an empty call has taken the nonce of.

        A person's, with which the operation was cancelled; or ours, where a reorg had taken back
        what had failed before: that stays failed.
        """
        with self._database.transaction() as session:
            operation = session.get_one(Operation, flight.operation.id, with_for_update=True)
            if operation.state not in IN_FLIGHT:
                return 0
            _note_block(session, flight, receipt)
            state, problem = _spent_by(operation, hex_of(receipt.tx_hash))
            for row in endings.end(session, operation, state, problem):
                mark(row, state.value, failed=str(problem["code"]), seen=_seen(receipt))
        log.warning(
            "operation_cancelled" if state == OperationState.REPLACED else "operation_dropped",
            operation=str(operation.id),
            tx=hex_of(receipt.tx_hash),
        )
        return 1

    def _record_revert(self, flight: _Flight, receipt: Receipt) -> int:
        reason = self._why(flight, receipt)
        with self._database.transaction() as session:
            operation = session.get_one(Operation, flight.operation.id, with_for_update=True)
            if operation.state not in IN_FLIGHT:
                return 0
            _note_block(session, flight, receipt)
            is_news = operation.problem is None
            batches.set_whole(
                session, operation, state=OperationState.REVERTED, ended_at=now(), waits_for=None
            )
            operation.problem = revert_problem(reason) | {"tx_hash": hex_of(receipt.tx_hash)}
            for row in batches.whole(session, operation):
                mark(row, "reverted", failed=reason.name, seen=_seen(receipt))
            if is_news:
                # Else it was cancelled before: its rows have failed with it.
                batches.disband(session, operation)
            for row in batches.whole(session, operation):
                endings.tell_failed(session, row)
            failpoints.reach("before_reverted_commit")
        failpoints.reach("after_reverted_commit")
        log.warning(
            "operation_reverted",
            operation=str(operation.id),
            tx=hex_of(receipt.tx_hash),
            reason=reason.name,
        )
        return 1

    def _why(self, flight: _Flight, receipt: Receipt) -> Reverted:
        """Run what was mined again, before its block and after it, to hear the reason.

        The very bytes: to make the call anew, the register would be asked whether it may be sent,
        and other keys to sign. After the block too: what came earlier in it may be what made it
        revert. A node that does not tell holds nothing up.
        """
        signed = read_signed(flight.attempt.raw)
        if signed.to is None:
            return Reverted("", "the constructor reverted", {})
        told = "the node gives no reason"
        for block in (receipt.block_number - 1, receipt.block_number):
            try:
                self._chain.client.call(
                    signed.to, signed.data, sender=flight.operation.signer, block=block
                )
            except RpcRefused as refused:
                if refused.is_revert:
                    return read_revert(bytes_of(refused.data or ""), refused.message)
                told = refused.message
            except ChainError as fault:
                log.warning("reason_not_told", block=block, reason=str(fault))
        return Reverted("", told, {})


def _note_block(session: Session, flight: _Flight, receipt: Receipt) -> None:
    attempt = session.get_one(OperationAttempt, flight.attempt.tx_hash)
    attempt.block_number, attempt.block_hash = receipt.block_number, receipt.block_hash
    session.add(attempt)


def _spent_by(operation: Operation, tx: str) -> tuple[OperationState, dict[str, Any]]:
    """Say how an operation ends whose nonce an empty call has taken, and why."""
    cancelled = operation_problem(CANCELLED, "A person cancelled it.", tx_hash=tx)
    problem = operation.problem or cancelled
    if problem["code"] == CANCELLED:
        return OperationState.REPLACED, problem
    return OperationState.DROPPED, problem | {"dropped_by": tx}


def _height(flight: _Flight) -> int:
    assert flight.attempt.block_number is not None, "what is mined names its block"
    return flight.attempt.block_number


def _is_used(flight: _Flight, used: Mapping[bytes, int]) -> bool:
    signer, nonce = flight.operation.signer, flight.operation.nonce
    assert signer is not None, "what was signed names its key"
    assert nonce is not None, "and owns a nonce"
    return nonce < used[signer]


def _seen(receipt: Receipt) -> dict[str, str | int]:
    """Say of a receipt what a trace shows."""
    return {
        "tx": hex_of(receipt.tx_hash),
        "block": receipt.block_number,
        "gas": receipt.gas_used,
    }

"""Carrying operations out: each exactly once, whatever crashes.

The order of commits is the whole point (ADR 0004):

1. the call is prepared and estimated, so that a revert burns no nonce;
2. one transaction takes the operation and the next nonce of the key, asks the guards again,
   signs, and **stores the signed bytes**;
3. the bytes are broadcast, outside any transaction;
4. from then on every doubt is answered by looking at the chain, and the only thing ever sent
   again for this operation is an attempt on the same nonce.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import exists
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from chain.abi import read_revert
from chain.client import bytes_of, hex_of
from chain.errors import NonceAhead, Reverted, RpcRefused
from chain.faults import contained
from chain.operations import EFFECTS
from chain.operations.effect import Call, Chain
from chain.signing.port import Signer, UnsignedTransaction
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import RegistryError
from registry.operation.errors import operation_problem
from registry.operation.models import (
    FAILED,
    IN_FLIGHT,
    ON_CHAIN,
    NonceStream,
    Operation,
    OperationAttempt,
    OperationDependency,
    OperationState,
)

log = structlog.get_logger()

GAS_MARGIN_PERCENT = 25
TIP_WEI = 1_000_000_000
MAX_IN_FLIGHT = 64
RESEND_AFTER = timedelta(seconds=15)


class Sender:
    """Signs and broadcasts what one key is to send.

    Parameters
    ----------
    database, chain
        Where operations stand, and where they go.
    signer
        One of the chain's senders.
    """

    def __init__(self, database: Database, chain: Chain, signer: Signer) -> None:
        self._database = database
        self._chain = chain
        self._signer = signer
        self._kinds = [
            kind
            for kind, effect in EFFECTS.items()
            if effect.signer(chain).address == signer.address
        ]

    # -- planned -> signed -> broadcast ------------------------------------------------------

    def send_planned(self) -> int:
        """Send everything that is planned and whose dependencies are on chain.

        Returns
        -------
        int
            Operations that moved.

        Raises
        ------
        NonceAhead
            The chain knows more of our key than we do.
        RpcUnavailable
            The node is away; nothing is lost.
        """
        moved = self._refuse_orphans()
        self._require_known_nonce()
        for operation_id in self._ready():
            with contained(operation_id):
                moved += self._send_one(operation_id)
        return moved

    def _ready(self) -> list[UUID]:
        dependency, required = aliased(OperationDependency), aliased(Operation)
        waiting = exists().where(
            col(dependency.operation_id) == col(Operation.id),
            col(required.id) == col(dependency.requires_id),
            col(required.state).not_in(ON_CHAIN),
        )
        with self._database.transaction() as session:
            flying = len(_in_flight(session, self._signer))
            rows = session.exec(
                select(Operation.id)
                .where(
                    col(Operation.state) == OperationState.PLANNED,
                    col(Operation.kind).in_(self._kinds),
                    ~waiting,
                )
                .order_by(col(Operation.id))
                .limit(max(MAX_IN_FLIGHT - flying, 0))
            )
            return list(rows.all())

    def _refuse_orphans(self) -> int:
        """Refuse what depends on an operation that failed."""
        dependency, required = aliased(OperationDependency), aliased(Operation)
        with self._database.transaction() as session:
            rows = session.exec(
                select(Operation, required.kind, required.id)
                .join(dependency, col(dependency.operation_id) == col(Operation.id))
                .join(required, col(required.id) == col(dependency.requires_id))
                .where(
                    col(Operation.state) == OperationState.PLANNED,
                    col(Operation.kind).in_(self._kinds),
                    col(required.state).in_(FAILED),
                )
                .with_for_update(of=Operation, skip_locked=True)
            ).all()
            for operation, kind, required_id in rows:
                problem = operation_problem(
                    "dependency_failed",
                    f"The {kind} that must come first has failed.",
                    remedy=f"See operation {required_id}.",
                )
                _refuse(session, operation, problem)
            return len(rows)

    def _require_known_nonce(self) -> None:
        chain_nonce = self._chain.client.nonce(self._signer.address)
        with self._database.transaction() as session:
            stream = self._stream(session, start=chain_nonce)
            if chain_nonce > stream.next_nonce:
                raise NonceAhead(hex_of(self._signer.address), chain_nonce, stream.next_nonce)

    def _stream(self, session: Session, *, start: int | None = None) -> NonceStream:
        identity = (self._chain.chain_id, self._signer.address)
        stream = session.get(NonceStream, identity, with_for_update=True)
        if stream is None:
            assert start is not None, "the stream is opened before anything is signed"
            # Another worker may be opening it at this moment.
            session.execute(
                upsert(NonceStream)
                .values(
                    chain_id=self._chain.chain_id,
                    signer=self._signer.address,
                    next_nonce=start,
                )
                .on_conflict_do_nothing()
            )
            stream = session.get_one(NonceStream, identity, with_for_update=True)
        return stream

    def _send_one(self, operation_id: UUID) -> int:
        try:
            with self._database.transaction() as session:
                operation = session.get_one(Operation, operation_id)
                call = EFFECTS[operation.kind].prepare(session, self._chain, operation)
            gas = self._estimate(call)
            attempt = self._sign(operation_id, call, gas)
        except Reverted as reverted:
            if self._has_pending():
                # What reverts now may not once our earlier transactions are mined.
                return 0
            problem = self._register_refuses(operation_id) or revert_problem(reverted)
            self._refuse(operation_id, problem)
            return 1
        except RpcRefused as refused:
            # The node's own trouble (a rate limit, a block it lacks) says nothing of the call.
            log.warning("operation_waits", operation=str(operation_id), reason=str(refused))
            return 0
        except RegistryError as refused:
            self._refuse(operation_id, _problem_of(refused))
            return 1
        if attempt is None:
            return 0
        self._broadcast([attempt])
        return 1

    def _register_refuses(self, operation_id: UUID) -> dict[str, object] | None:
        """Return why the register forbids it: it says more than a contract that reverts."""
        try:
            with self._database.transaction() as session:
                operation = session.get_one(Operation, operation_id)
                EFFECTS[operation.kind].check(session, operation)
        except RegistryError as refused:
            return _problem_of(refused)
        return None

    def _estimate(self, call: Call) -> int:
        """Run the call to its end on the node's newest state, and return its gas."""
        try:
            gas = self._chain.client.estimate_gas(call.to, call.data, sender=self._signer.address)
        except RpcRefused as refused:
            if not refused.is_revert:
                raise
            raise read_revert(bytes_of(refused.data or ""), refused.message) from refused
        return gas + gas * GAS_MARGIN_PERCENT // 100

    def _has_pending(self) -> bool:
        chain_nonce = self._chain.client.nonce(self._signer.address)
        with self._database.transaction() as session:
            return chain_nonce < self._stream(session, start=chain_nonce).next_nonce

    def _sign(self, operation_id: UUID, call: Call, gas: int) -> OperationAttempt | None:
        """Take the nonce, sign and store, in one transaction; None if another worker did."""
        base_fee_wei = self._chain.client.head().base_fee_wei
        max_fee_wei = 2 * base_fee_wei + TIP_WEI
        with self._database.transaction() as session:
            stream = self._stream(session)
            operation = session.exec(
                select(Operation)
                .where(
                    col(Operation.id) == operation_id,
                    col(Operation.state) == OperationState.PLANNED,
                )
                .with_for_update(skip_locked=True)
            ).first()
            if operation is None:
                return None
            EFFECTS[operation.kind].check(session, operation)
            signed = self._signer.sign_transaction(
                UnsignedTransaction(
                    chain_id=self._chain.chain_id,
                    nonce=stream.next_nonce,
                    to=call.to,
                    data=call.data,
                    gas=gas,
                    max_fee_wei=max_fee_wei,
                    tip_wei=TIP_WEI,
                )
            )
            operation.state = OperationState.SIGNED
            operation.signer, operation.nonce = self._signer.address, stream.next_nonce
            stream.next_nonce += 1
            attempt = OperationAttempt(
                tx_hash=signed.tx_hash,
                operation_id=operation.id,
                seq=1,
                raw=signed.raw,
                gas=gas,
                max_fee_wei=max_fee_wei,
                signed_at=now(),
            )
            session.add_all([stream, operation, attempt])
        return attempt

    def _broadcast(self, attempts: Sequence[OperationAttempt]) -> None:
        """Hand signed bytes to the node, in the order of their nonces."""
        for attempt in attempts:
            try:
                self._chain.client.send_raw(attempt.raw)
            except RpcRefused as refused:
                # "Already known", "nonce too low", anything: the chain will tell. Never a new
                # nonce.
                log.info(
                    "broadcast_refused",
                    operation=str(attempt.operation_id),
                    tx=hex_of(attempt.tx_hash),
                    reason=refused.message,
                )
            with self._database.transaction() as session:
                operation = session.get_one(Operation, attempt.operation_id, with_for_update=True)
                if operation.state == OperationState.SIGNED:
                    operation.state = OperationState.BROADCAST
                stored = session.get_one(OperationAttempt, attempt.tx_hash)
                stored.last_sent_at = now()
                session.add_all([operation, stored])
            log.info(
                "operation_broadcast",
                operation=str(attempt.operation_id),
                tx=hex_of(attempt.tx_hash),
            )

    def _refuse(self, operation_id: UUID, problem: dict[str, object]) -> None:
        with self._database.transaction() as session:
            operation = session.get_one(Operation, operation_id, with_for_update=True)
            if operation.state == OperationState.PLANNED:
                _refuse(session, operation, problem)

    # -- what the node forgot ----------------------------------------------------------------

    def resend_forgotten(self, *, at_start: bool = False) -> int:
        """Send again what the chain does not show, always the same signed bytes.

        Covers a crash between commit and broadcast, a node that lost its pool, and a chain that
        lost blocks: then what was mined, or even final, is taken back and followed again.
        """
        chain_nonce = self._chain.client.nonce(self._signer.address)
        with self._database.transaction() as session:
            vanished = session.exec(
                select(Operation)
                .where(
                    col(Operation.signer) == self._signer.address,
                    col(Operation.nonce) >= chain_nonce,
                    # One that reverted has spent its nonce like the others: without it, every
                    # later one would wait for ever.
                    col(Operation.state).in_([*ON_CHAIN, OperationState.REVERTED]),
                )
                .with_for_update()
            ).all()
            for operation in vanished:
                log.warning("operation_vanished", operation=str(operation.id), was=operation.state)
                operation.state, operation.ended_at = OperationState.BROADCAST, None
                operation.problem = None
                session.add(operation)
            session.flush()
            rows = session.exec(
                select(OperationAttempt)
                .join(Operation, col(Operation.id) == col(OperationAttempt.operation_id))
                .where(
                    col(Operation.signer) == self._signer.address,
                    col(Operation.nonce) >= chain_nonce,
                    col(Operation.state).in_([OperationState.SIGNED, OperationState.BROADCAST]),
                )
                .order_by(col(Operation.nonce), col(OperationAttempt.seq))
            ).all()
            patience = timedelta(0) if at_start or vanished else RESEND_AFTER
            due = [
                row for row in rows if not row.last_sent_at or row.last_sent_at < now() - patience
            ]
        self._broadcast(due)
        return len(due)


def _in_flight(session: Session, signer: Signer) -> Sequence[UUID]:
    return session.exec(
        select(Operation.id).where(
            col(Operation.state).in_(IN_FLIGHT), col(Operation.signer) == signer.address
        )
    ).all()


def _refuse(session: Session, operation: Operation, problem: dict[str, object]) -> None:
    operation.state, operation.problem = OperationState.REFUSED, problem
    operation.ended_at = now()
    session.add(operation)
    EFFECTS[operation.kind].on_failed(session, operation)
    log.warning("operation_refused", operation=str(operation.id), kind=operation.kind, **problem)


def _problem_of(refused: RegistryError) -> dict[str, object]:
    return operation_problem(refused.code, refused.detail, remedy=refused.remedy)


def revert_problem(reverted: Reverted) -> dict[str, object]:
    """Say what a contract refused, as an operation's problem."""
    return operation_problem(
        "call_would_revert",
        f"The contract refuses this: {reverted.name.rstrip('.')}.",
        selector=reverted.selector,
        arguments=reverted.arguments,
    )

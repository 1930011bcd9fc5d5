"""Carrying operations out: each exactly once, whatever crashes.

The order of commits is the whole point (ADR 0004):

1. the call is prepared and estimated, so that a revert burns no nonce;
2. one transaction takes the operation and the next nonce of the key, asks the guards again,
   signs, and **stores the signed bytes**;
3. the bytes are broadcast, outside any transaction;
4. from then on every doubt is answered by looking at the chain, and the only thing ever sent
   again for this operation is an attempt on the same nonce.

Operations of one kind go together in a batch where they can (ADR 0027).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import exists
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from chain import batches
from chain.abi import read_revert
from chain.client import bytes_of, hex_of
from chain.errors import Reverted, RpcRefused
from chain.faults import contained
from chain.nonces import Nonces
from chain.operations import EFFECTS
from chain.operations.effect import Call, Chain
from chain.outbox import list_ready, problem_of, refuse, refuse_orphans, revert_problem
from chain.signing.port import Signer, UnsignedTransaction
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import RegistryError
from registry.operation import service as operations
from registry.operation.models import (
    IN_FLIGHT,
    ON_CHAIN,
    Operation,
    OperationAttempt,
    OperationKind,
    OperationState,
)

log = structlog.get_logger()

GAS_MARGIN_PERCENT = 25
TIP_WEI = 1_000_000_000
MAX_IN_FLIGHT = 64
BATCH_ROWS = 100
"""Rows of the largest batch: what a batch of mints may be by `erc3643-facts` section 7."""

BATCH_SHARE_OF_BLOCK = 2
"""A batch takes at most half of a block's gas, so that it fits beside what others send."""

PLAIN_TRANSFER_GAS = 21_000
REPLACEMENT_PERCENT = 25
"""Nodes want 10 % more for the place of a transaction that they hold."""

RESEND_AFTER = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class _Priced:
    """A call that runs to its end, and what it may take.

    Parameters
    ----------
    fits
        Whether it leaves the better part of a block to others.
    """

    call: Call
    gas: int
    max_fee_wei: int
    fits: bool


class Sender:
    """Signs and broadcasts what one key is to send.

    Parameters
    ----------
    database, chain
        Where operations stand, and where they go.
    signer
        One of the chain's senders.
    batch_rows
        Operations that go in one transaction at most; 1 sends each alone.
    """

    def __init__(
        self, database: Database, chain: Chain, signer: Signer, *, batch_rows: int = BATCH_ROWS
    ) -> None:
        self._database = database
        self._chain = chain
        self._signer = signer
        self._batch_rows = batch_rows
        self._nonces = Nonces(database, chain, signer)
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
        with self._database.transaction() as session:
            moved = refuse_orphans(session, self._kinds)
        self._nonces.require_known()
        for together in self._ready():
            with contained(together[0]):
                moved += self._send(together)
        return moved

    def _ready(self) -> list[list[UUID]]:
        """Give what may be sent now, by transaction."""
        with self._database.transaction() as session:
            free = max(MAX_IN_FLIGHT - len(_in_flight(session, self._signer)), 0)
            ready = list_ready(session, self._kinds, free * self._batch_rows)
            return batches.group(ready, self._batch_rows)[:free]

    def _send(self, together: Sequence[UUID]) -> int:
        if len(together) == 1:
            return self._send_one(together[0])
        allowed = [row for row in together if not self._refused_by_register(row)]
        return len(together) - len(allowed) + self._send_batch(allowed)

    def _send_batch(self, rows: Sequence[UUID]) -> int:
        """Send operations as one transaction, or as two where they do not fit or one is bad."""
        if len(rows) < 2:  # noqa: PLR2004
            return sum(self._send_one(row) for row in rows)
        try:
            with self._database.transaction() as session:
                found = [session.get_one(Operation, row) for row in rows]
                call = EFFECTS[found[0].kind].fold(session, self._chain, found)
            priced = self._price(call)
            if priced.fits:
                return len(rows) if self._sign_and_broadcast(rows, priced) else 0
        except Reverted:
            if self._nonces.any_pending():
                return 0
        except RpcRefused as refused:
            log.warning("batch_waits", first=str(rows[0]), reason=str(refused))
            return 0
        except RegistryError as refusal:
            # Every row was allowed a moment ago; the next turn tells which is not.
            log.info("batch_waits", first=str(rows[0]), reason=refusal.code)
            return 0
        middle = len(rows) // 2
        return self._send_batch(rows[:middle]) + self._send_batch(rows[middle:])

    def _send_one(self, operation_id: UUID) -> int:
        try:
            with self._database.transaction() as session:
                operation = session.get_one(Operation, operation_id)
                call = EFFECTS[operation.kind].prepare(session, self._chain, operation)
            return int(self._sign_and_broadcast([operation_id], self._price(call)))
        except Reverted as reverted:
            if self._nonces.any_pending():
                # What reverts now may not once our earlier transactions are mined.
                return 0
            # The register says more than a contract that reverts.
            if not self._refused_by_register(operation_id):
                self._refuse(operation_id, revert_problem(reverted))
            return 1
        except RpcRefused as refused:
            # The node's own trouble (a rate limit, a block it lacks) says nothing of the call.
            log.warning("operation_waits", operation=str(operation_id), reason=str(refused))
            return 0
        except RegistryError as refused:
            self._refuse(operation_id, problem_of(refused))
            return 1

    def _refused_by_register(self, operation_id: UUID) -> bool:
        """Refuse the operation if the register forbids it, and tell whether it does."""
        try:
            with self._database.transaction() as session:
                operation = session.get_one(Operation, operation_id)
                EFFECTS[operation.kind].check(session, operation)
        except RegistryError as refused:
            self._refuse(operation_id, problem_of(refused))
            return True
        return False

    def _price(self, call: Call) -> _Priced:
        """Run the call to its end on the node's newest state, and say what it may take."""
        head = self._chain.client.head()
        try:
            gas = self._chain.client.estimate_gas(call.to, call.data, sender=self._signer.address)
        except RpcRefused as refused:
            if not refused.is_revert:
                raise
            raise read_revert(bytes_of(refused.data or ""), refused.message) from refused
        gas += gas * GAS_MARGIN_PERCENT // 100
        fits = gas <= head.gas_limit // BATCH_SHARE_OF_BLOCK
        return _Priced(call, gas, 2 * head.base_fee_wei + TIP_WEI, fits)

    def _sign_and_broadcast(self, rows: Sequence[UUID], priced: _Priced) -> bool:
        attempt = self._sign(rows, priced)
        if attempt is not None:
            self._broadcast([attempt])
        return attempt is not None

    def _sign(self, rows: Sequence[UUID], priced: _Priced) -> OperationAttempt | None:
        """Take the nonce, sign and store, in one transaction; None if another worker did."""
        with self._database.transaction() as session:
            found = session.exec(
                select(Operation)
                .where(
                    col(Operation.id).in_(rows),
                    col(Operation.state) == OperationState.PLANNED,
                )
                .order_by(col(Operation.id))
                .with_for_update(skip_locked=True)
            ).all()
            if len(found) != len(rows):
                return None
            for operation in found:
                EFFECTS[operation.kind].check(session, operation)
            carrier = found[0] if len(found) == 1 else batches.bind(session, found)
            carrier.signer, carrier.nonce = self._signer.address, self._nonces.take(session)
            batches.move(session, carrier, OperationState.SIGNED)
            return self._attempt(session, carrier, priced, seq=1)

    def _attempt(
        self, session: Session, operation: Operation, priced: _Priced, *, seq: int
    ) -> OperationAttempt:
        """Sign a call with the nonce that the operation owns, and store the bytes."""
        assert operation.nonce is not None, "what is signed owns a nonce"
        signed = self._signer.sign_transaction(
            UnsignedTransaction(
                chain_id=self._chain.chain_id,
                nonce=operation.nonce,
                to=priced.call.to,
                data=priced.call.data,
                gas=priced.gas,
                max_fee_wei=priced.max_fee_wei,
                tip_wei=TIP_WEI,
            )
        )
        attempt = OperationAttempt(
            tx_hash=signed.tx_hash,
            operation_id=operation.id,
            seq=seq,
            raw=signed.raw,
            gas=priced.gas,
            max_fee_wei=priced.max_fee_wei,
            signed_at=now(),
        )
        session.add(attempt)
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
                    batches.move(session, operation, OperationState.BROADCAST)
                stored = session.get_one(OperationAttempt, attempt.tx_hash)
                stored.last_sent_at = now()
                session.add(stored)
            log.info(
                "operation_broadcast",
                operation=str(attempt.operation_id),
                tx=hex_of(attempt.tx_hash),
            )

    def _refuse(self, operation_id: UUID, problem: dict[str, object]) -> None:
        with self._database.transaction() as session:
            operation = session.get_one(Operation, operation_id, with_for_update=True)
            if operation.state == OperationState.PLANNED:
                refuse(session, operation, problem)

    # -- what the node forgot ----------------------------------------------------------------

    def resend_forgotten(self, *, at_start: bool = False) -> int:
        """Send again what the chain does not show, always the same signed bytes.

        Covers a crash between commit and broadcast, a node that lost its pool, and a chain that
        lost blocks: then what was mined, or even final, is taken back and followed again.
        """
        chain_nonce = self._nonces.used_on_chain()
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
                if operation.kind == OperationKind.BATCH and operation.problem is not None:
                    # Its rows went on without it: nothing may take its nonce but an empty call.
                    self._attempt(session, operation, self._nothing(session, operation), seq=2)
                operation.ended_at = operation.problem = None
                batches.move(session, operation, OperationState.BROADCAST)
            session.flush()
            later = aliased(OperationAttempt)
            rows = session.exec(
                select(OperationAttempt)
                .join(Operation, col(Operation.id) == col(OperationAttempt.operation_id))
                .where(
                    col(Operation.signer) == self._signer.address,
                    col(Operation.nonce) >= chain_nonce,
                    col(Operation.state).in_([OperationState.SIGNED, OperationState.BROADCAST]),
                    ~exists().where(
                        col(later.operation_id) == col(Operation.id),
                        col(later.seq) > col(OperationAttempt.seq),
                    ),
                )
                .order_by(col(Operation.nonce))
            ).all()
            patience = timedelta(0) if at_start or vanished else RESEND_AFTER
            due = [
                row for row in rows if not row.last_sent_at or row.last_sent_at < now() - patience
            ]
        self._broadcast(due)
        return len(due)

    def _nothing(self, session: Session, operation: Operation) -> _Priced:
        """Give an empty call that takes the place of an operation's attempt in any pool."""
        last = operations.list_attempts(session, operation)[-1]
        fee = last.max_fee_wei + last.max_fee_wei * REPLACEMENT_PERCENT // 100
        return _Priced(Call(self._signer.address, b""), PLAIN_TRANSFER_GAS, fee, fits=True)


def _in_flight(session: Session, signer: Signer) -> Sequence[UUID]:
    return session.exec(
        select(Operation.id).where(
            col(Operation.state).in_(IN_FLIGHT), col(Operation.signer) == signer.address
        )
    ).all()

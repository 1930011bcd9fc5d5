"""Signed transactions of operations: made and stored first, handed to the node afterwards."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime

import structlog
from sqlalchemy import func
from sqlmodel import Session, col, select

from chain.errors import RpcRefused
from chain.node.client import hex_of
from chain.operations.effect import Chain
from chain.sending import batches
from chain.sending.fees import Priced
from chain.sending.funds import funds_problem
from chain.sending.outbox import note_waiting
from chain.sending.policy import require_allowed
from chain.sending.steps import step
from chain.sending.trailer import signed_off
from chain.signing.port import Signer, UnsignedTransaction
from registry.kernel import failpoints
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.operation.models import Operation, OperationAttempt, OperationState

log = structlog.get_logger()

AT_ONCE = 16
"""Transactions that go to the node in one request: nodes read no more than some megabytes."""


class Attempts:
    """Signs with one key, stores, and broadcasts.

    Parameters
    ----------
    database, chain
        Where operations stand, and where they go.
    signer
        One of the chain's senders.
    on_broadcast
        Told of each transaction that went out.
    """

    def __init__(
        self,
        database: Database,
        chain: Chain,
        signer: Signer,
        *,
        on_broadcast: Callable[[], object] = lambda: None,
    ) -> None:
        self._database = database
        self._on_broadcast = on_broadcast
        self._chain = chain
        self._signer = signer

    def sign(
        self, session: Session, operation: Operation, priced: Priced, *, is_first: bool = False
    ) -> OperationAttempt:
        """Sign a call with the nonce that the operation owns, and store the bytes.

        The parameters and faults are those of `make`.
        """
        attempt = self.make(session, operation, priced, is_first=is_first)
        session.add(attempt)
        return attempt

    def make(
        self, session: Session, operation: Operation, priced: Priced, *, is_first: bool
    ) -> OperationAttempt:
        """Sign a call with the nonce that the operation owns; whoever calls it stores the bytes.

        The ids of what it carries out stand behind the call's data.

        Parameters
        ----------
        is_first
            It has taken its nonce just now, so that there is no attempt on it yet.

        Raises
        ------
        PolicyRefused, MustWait
            The policy of the role forbids it, or has allowed enough for today.
        SignerUnavailable, SignerRefused
            The key cannot be used.
        """
        assert operation.nonce is not None, "what is signed owns a nonce"
        call = signed_off(session, operation, priced.call)
        earlier = 0 if is_first else _last_seq(session, operation)
        require_allowed(session, self._chain, self._signer, operation, call, is_first=not earlier)
        signed = self._signer.sign_transaction(
            UnsignedTransaction(
                chain_id=self._chain.chain_id,
                nonce=operation.nonce,
                to=call.to,
                data=call.data,
                gas=priced.gas,
                max_fee_wei=priced.fee.max_fee_wei,
                tip_wei=priced.fee.tip_wei,
            )
        )
        return OperationAttempt(
            tx_hash=signed.tx_hash,
            operation_id=operation.id,
            seq=earlier + 1,
            raw=signed.raw,
            gas=priced.gas,
            max_fee_wei=priced.fee.max_fee_wei,
            tip_wei=priced.fee.tip_wei,
            signed_at_block=priced.at_block,
            signed_at=now(),
        )

    def broadcast(self, attempts: Sequence[OperationAttempt]) -> None:
        """Hand signed bytes to the node, in the order of their nonces."""
        for start in range(0, len(attempts), AT_ONCE):
            some = attempts[start : start + AT_ONCE]
            with contextlib.ExitStack() as stack:
                for attempt in some:
                    taken = step(self._database, "broadcast", [attempt.operation_id])
                    spans = stack.enter_context(taken)
                    spans.note(tx=hex_of(attempt.tx_hash), seq=attempt.seq)
                    if attempt.last_sent_at is not None:
                        spans.event("rebroadcast", last_sent_at=attempt.last_sent_at.isoformat())
                self._send(some)

    def _note_poverty(self, attempt: OperationAttempt) -> None:
        """Say so where the node refused because the key cannot pay any more."""
        cost = attempt.gas * attempt.max_fee_wei
        try:
            balance = self._chain.client.balance(self._signer.address)
        except RpcRefused as refused:
            log.info("balance_not_told", **_told(attempt), reason=refused.message)
            return
        if balance >= cost:
            return
        with self._database.transaction() as session:
            whole = batches.whole(session, session.get_one(Operation, attempt.operation_id))
            note_waiting(
                session, [row.id for row in whole], funds_problem(self._signer, cost, balance)
            )

    def _send(self, attempts: Sequence[OperationAttempt]) -> None:
        failpoints.reach("before_broadcast")
        answers = self._chain.client.send_raws([attempt.raw for attempt in attempts])
        sent_at = now()
        failpoints.reach("after_broadcast")
        with self._database.transaction() as session:
            for attempt, refused in zip(attempts, answers, strict=True):
                _note_sent(session, attempt, sent_at, is_taken=refused is None)
        failpoints.reach("after_broadcast_commit")
        self._on_broadcast()
        for attempt, refused in zip(attempts, answers, strict=True):
            if refused is not None:
                # "Already known", "nonce too low", anything: the chain will tell. Never a new
                # nonce.
                log.info("broadcast_refused", **_told(attempt), reason=refused.message)
                self._note_poverty(attempt)
            log.info("operation_broadcast", **_told(attempt))


def _note_sent(
    session: Session, attempt: OperationAttempt, sent_at: datetime, *, is_taken: bool
) -> None:
    operation = session.get_one(Operation, attempt.operation_id, with_for_update=True)
    if operation.state == OperationState.SIGNED:
        batches.move(session, operation, OperationState.BROADCAST)
    elif is_taken and (operation.waits_for or {}).get("code") == "signer_out_of_funds":
        # The node took it, so the key can pay by now.
        batches.move(session, operation, operation.state)
    stored = session.get_one(OperationAttempt, attempt.tx_hash)
    stored.last_sent_at = sent_at
    session.add(stored)


def _told(attempt: OperationAttempt) -> dict[str, str]:
    return {"operation": str(attempt.operation_id), "tx": hex_of(attempt.tx_hash)}


def _last_seq(session: Session, operation: Operation) -> int:
    last = session.exec(
        select(func.max(col(OperationAttempt.seq))).where(
            col(OperationAttempt.operation_id) == operation.id
        )
    ).one()
    return last or 0

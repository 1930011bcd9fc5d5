"""What was signed and is not on chain: sent again, and offered a higher fee when it is stuck.

Only ever on the nonce that the operation owns, and with the same call: whichever attempt is mined,
it happens once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import structlog
from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from chain.errors import MustWait, PolicyRefused, SignerRefused, SignerUnavailable
from chain.node.client import hex_of
from chain.operations.effect import Call, Chain
from chain.sending import batches
from chain.sending.attempts import Attempts
from chain.sending.fees import Fee, Fees, Market, Priced
from chain.sending.holding_back import HoldingBack
from chain.sending.lost_blocks import ENDED, find_lost
from chain.sending.outbox import key_problem, note_waiting
from chain.sending.standing import IS_LAST_ATTEMPT
from chain.sending.steps import mark, step
from chain.sending.trailer import without
from chain.signing.envelope import read_signed
from chain.signing.port import Signer
from registry.kernel import failpoints, tracing
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.operation import service as operations
from registry.operation.models import Operation, OperationAttempt, OperationState

log = structlog.get_logger()

PLAIN_TRANSFER_GAS = 21_000
RESEND_AFTER = timedelta(seconds=15)
Unmined = tuple[Operation, OperationAttempt]
"""An operation that is not on chain, and its last attempt."""

UNMINED = (OperationState.SIGNED, OperationState.BROADCAST)

_NEWEST = (
    select(Operation, OperationAttempt)
    .join(OperationAttempt, col(OperationAttempt.operation_id) == col(Operation.id))
    .where(
        col(Operation.signer) == bindparam("signer"),
        col(Operation.nonce) >= bindparam("from_nonce"),
        col(Operation.state).in_(UNMINED),
        IS_LAST_ATTEMPT,
    )
    .order_by(col(Operation.nonce))
)


def nothing_on(session: Session, chain: Chain, fees: Fees, operation: Operation) -> Priced:
    """Give an empty call that takes the place of an operation's attempt in any pool.

    Whatever the ceiling: it is 21,000 gas against a second mint.
    """
    last = operations.list_attempts(session, operation)[-1]
    fee = fees.raised(Fee(last.max_fee_wei, last.tip_wei))
    assert operation.signer is not None, "what was signed names its key"
    call = Call(operation.signer, b"")
    return Priced(call, PLAIN_TRANSFER_GAS, fee, chain.client.block_number())


class Resender:
    """Follows what one key has signed until it is on chain.

    Parameters
    ----------
    attempts, fees
        Of the same key.
    """

    def __init__(
        self,
        database: Database,
        chain: Chain,
        signer: Signer,
        *,
        attempts: Attempts,
        fees: Fees,
    ) -> None:
        self._database = database
        self._chain = chain
        self._signer = signer
        self._attempts = attempts
        self._fees = fees
        self._holding = HoldingBack(signer.address)
        self._has_vanished = False

    def follow(self, *, at_start: bool = False) -> int:
        """Send again what the chain does not show, and offer more for what is stuck.

        Always the same signed bytes. Covers a crash between commit and broadcast, and a node that
        lost its pool; of a chain that lost blocks, everybody's is taken back first (`take_back`).

        Returns
        -------
        int
            Transactions that were sent.
        """
        nonce, height = self._chain.client.nonce_and_height(self._signer.address)
        patience = timedelta(0) if at_start or self._has_vanished else RESEND_AFTER
        self._has_vanished = False
        with self._database.transaction() as session:
            rows = self._newest(session, nonce)
            held = self._holding.held(session, [operation.id for operation, _ in rows])
        rows = [row for row in rows if row[0].id not in held]
        due = [
            row
            for operation, row in rows
            if not row.last_sent_at
            or row.last_sent_at < now() - patience
            or operation.id in self._holding.released
        ]
        self._attempts.broadcast(due)
        return len(due) + self._bump_stuck(rows, nonce, height)

    def take_back(self) -> None:
        """Take back what was mined, or even final, in blocks that the chain has lost.

        It is followed again, also where it was mined once more, for it may have reverted there.
        """
        client, signer = self._chain.client, self._signer.address
        lost = find_lost(self._database, client, signer, chain_nonce=client.nonce(signer))
        if not lost:
            return
        with self._database.transaction() as session:
            vanished = session.exec(
                select(Operation)
                .where(
                    col(Operation.id).in_(lost),
                    # Without what reverted, or was cancelled, every later one would wait for ever.
                    col(Operation.state).in_([OperationState.MINED, *ENDED]),
                )
                .order_by(col(Operation.nonce))
                .with_for_update()
            ).all()
            taken = [self._is_taken_back(session, operation) for operation in vanished]
            session.flush()
            if any(taken):
                failpoints.reach("before_vanished_commit")
        if any(taken):
            self._has_vanished = True
            failpoints.reach("after_vanished_commit")

    def _is_taken_back(self, session: Session, operation: Operation) -> bool:
        """Have an operation followed again; False while what that needs cannot be signed."""
        *_, last = attempts = operations.list_attempts(session, operation)
        mined = next((each for each in attempts if each.block_number is not None), last)
        told = {"tx": hex_of(mined.tx_hash), "was": operation.state.value}
        wanted = self._as_it_ended(session, operation, mined, last)
        try:
            if wanted is not None:
                self._attempts.sign(session, operation, wanted)
        except (SignerUnavailable, SignerRefused, PolicyRefused, MustWait) as fault:
            log.warning("not_taken_back", operation=str(operation.id), **told, reason=str(fault))
            return False
        log.warning("operation_vanished", operation=str(operation.id), **told)
        for row in batches.whole(session, operation) if tracing.is_on() else ():
            mark(row, "unmined", seen=told)
        batches.move(session, operation, OperationState.BROADCAST)
        for attempt in attempts:
            attempt.block_number = attempt.block_hash = None
            session.add(attempt)
        return True

    def _as_it_ended(
        self,
        session: Session,
        operation: Operation,
        mined: OperationAttempt,
        last: OperationAttempt,
    ) -> Priced | None:
        """Give what to sign so that the last attempt, which is sent again, does as was told.

        What had failed never happens any more: whoever heard of it has gone on without it, and it
        may be planned anew at this moment. Nothing may take its nonce but an empty call. And what
        was final happens again, though a person's empty call had come too late for it.
        """
        is_empty = batches.is_empty_call(operation, last)
        if operation.problem is not None:
            return None if is_empty else nothing_on(session, self._chain, self._fees, operation)
        was_final = operation.state == OperationState.FINAL
        if not (was_final and is_empty) or batches.is_empty_call(operation, mined):
            return None
        fee = self._fees.raised(Fee(last.max_fee_wei, last.tip_wei))
        height = self._chain.client.block_number()
        return Priced(_call_of(session, operation, mined), mined.gas, fee, height)

    def _newest(self, session: Session, chain_nonce: int) -> Sequence[Unmined]:
        """Give the last attempt of everything that is not on chain, in the order of nonces."""
        given = {"signer": self._signer.address, "from_nonce": chain_nonce}
        rows = session.exec(_NEWEST, params=given)
        return [(operation, attempt) for operation, attempt in rows]

    # -- what is stuck -----------------------------------------------------------------------

    def _bump_stuck(self, rows: Sequence[Unmined], chain_nonce: int, height: int) -> int:
        """Offer more for what no block takes."""
        patience = self._chain.fees.stuck_blocks
        stuck = [row for row in rows if height - row[1].signed_at_block >= patience]
        if not stuck:
            return 0
        market = self._fees.look()
        made = []
        for operation, attempt in stuck:
            # What comes later may only be waiting for the first; it is raised if it is too cheap.
            if operation.nonce == chain_nonce or attempt.max_fee_wei < market.due_wei:
                bumped = self._bump(operation, attempt, market)
                if bumped is not None:
                    made.append(bumped)
        self._attempts.broadcast(made)
        return len(made)

    def _bump(
        self, operation: Operation, last: OperationAttempt, market: Market
    ) -> OperationAttempt | None:
        try:
            fee = self._fees.bumped(Fee(last.max_fee_wei, last.tip_wei), market)
            with (
                step(self._database, "sign", [operation.id]) as spans,
                self._database.transaction() as session,
            ):
                found = session.exec(
                    select(Operation)
                    .where(col(Operation.id) == operation.id, col(Operation.state).in_(UNMINED))
                    .with_for_update(skip_locked=True)
                ).first()
                if found is None or operations.list_attempts(session, found)[-1].seq != last.seq:
                    return None
                call = _call_of(session, found, last)
                priced = Priced(call, last.gas, fee, market.head.number)
                attempt = self._attempts.sign(session, found, priced)
                batches.move(session, found, found.state)
                spans.event("fee_bumped", tx=hex_of(attempt.tx_hash), seq=attempt.seq)
                failpoints.reach("before_bump_commit")
        except (MustWait, PolicyRefused) as refusal:
            # By a policy of today: the first attempt was allowed, and may be mined yet.
            self._note(operation, refusal.problem)
            return None
        except (SignerUnavailable, SignerRefused) as fault:
            self._note(operation, key_problem(fault))
            return None
        failpoints.reach("after_bump_commit")
        log.info(
            "fee_bumped",
            operation=str(operation.id),
            tx=hex_of(attempt.tx_hash),
            seq=attempt.seq,
            max_fee_wei=fee.max_fee_wei,
        )
        return attempt

    def _note(self, operation: Operation, problem: dict[str, object]) -> None:
        with self._database.transaction() as session:
            whole = batches.whole(session, session.get_one(Operation, operation.id))
            note_waiting(session, [row.id for row in whole], problem)


def _call_of(session: Session, operation: Operation, attempt: OperationAttempt) -> Call:
    """Give the call of an attempt, without the ids behind its data."""
    signed = read_signed(attempt.raw)
    return without(session, operation, Call(signed.to, signed.data))

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

import contextlib
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from typing import NamedTuple
from uuid import UUID

import structlog
from sqlmodel import Session

from chain.errors import (
    MustWait,
    PolicyRefused,
    Reverted,
    RpcInconsistent,
    RpcRefused,
    RpcUnavailable,
    SignerRefused,
    SignerUnavailable,
)
from chain.node.client import hex_of
from chain.operations import EFFECTS
from chain.operations.effect import Chain
from chain.sending import batches
from chain.sending.attempts import Attempts
from chain.sending.claiming import Forbidden, Taken, claim
from chain.sending.faults import contained
from chain.sending.fees import Fees, Market, Priced
from chain.sending.funds import Purse
from chain.sending.nonces import Nonces
from chain.sending.outbox import (
    forget_waiting,
    is_anything_planned,
    key_problem,
    node_refuses_problem,
    note_waiting,
    problem_of,
    refuse,
    refuse_orphans,
    revert_problem,
)
from chain.sending.pipeline import Begun, Pipeline
from chain.sending.pool import MAX_IN_FLIGHT, Group, Pool
from chain.sending.preparing import Preparing, load
from chain.sending.resender import Resender
from chain.sending.short_way import ShortWay
from chain.sending.standing import standing_of
from chain.sending.steps import step
from chain.signing.port import Signer
from registry.kernel import failpoints
from registry.kernel.db import Database
from registry.kernel.errors import RegistryError
from registry.operation.models import Operation, OperationAttempt, OperationState

log = structlog.get_logger()

__all__ = ["MAX_IN_FLIGHT", "Sender"]

BATCH_ROWS = 100
"""Rows of the largest batch: what a batch of mints may be by `erc3643-facts` section 7."""


class Ready(NamedTuple):
    """The rows of a transaction, and its call."""

    rows: Sequence[UUID]
    priced: Priced


_Pipeline = Pipeline[Priced]


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
    together
        Batches that are signed together at most; more than one where no pool can keep anything
        that the database does not know (ADR 0063).
    on_broadcast
        Told of each transaction that went out.
    """

    def __init__(
        self,
        database: Database,
        chain: Chain,
        signer: Signer,
        *,
        batch_rows: int = BATCH_ROWS,
        together: int = 1,
        on_broadcast: Callable[[], object] = lambda: None,
    ) -> None:
        self._database = database
        self._chain = chain
        self._signer = signer
        self._batch_rows = batch_rows
        self.together = together
        self._pool = Pool(chain, signer)
        self._nonces = Nonces(database, chain, signer)
        others = [key.address for key in chain.senders if key.address != signer.address]
        self._fees = Fees(chain.client, chain.fees, signer.address, others=others)
        self._attempts = Attempts(database, chain, signer, on_broadcast=on_broadcast)
        self._short_way = ShortWay(
            database,
            chain,
            signer,
            pool=self._pool,
            nonces=self._nonces,
            fees=self._fees,
            attempts=self._attempts,
        )
        self._resender = Resender(database, chain, signer, attempts=self._attempts, fees=self._fees)
        self._preparing = Preparing(database, chain, signer, fees=self._fees)
        # What the key can spend in this turn.
        self._purse = Purse(0)
        # Whether operations may say that they wait for fees; at the start, from a run before.
        self._was_dear = True

    @property
    def kinds(self) -> AbstractSet[str]:
        """Kinds of operations that this key may send."""
        return set(self._pool.kinds)

    def has_work(self, session: Session) -> bool:
        """Tell whether anything is planned that this key might send."""
        return is_anything_planned(session, self._pool.kinds)

    def take_back_vanished(self) -> None:
        """Take back what stood in blocks that the chain has lost; first of all keys."""
        self._resender.take_back()

    def resend_forgotten(self, *, at_start: bool = False) -> int:
        """Send again what the chain does not show, and offer more for what is stuck."""
        return self._resender.follow(at_start=at_start)

    # -- planned -> signed -> broadcast ------------------------------------------------------

    def send_planned(self, *, urgent: bool = False) -> int:
        """Send everything that is planned and whose dependencies are on chain.

        Parameters
        ----------
        urgent
            Somebody waits: what can never be sent is refused another time.

        Returns
        -------
        int
            Operations that moved.

        Raises
        ------
        NonceAhead
            The chain knows more of one of our keys than we do.
        WrongChain, RpcUnavailable
            The node serves another chain, or is away; nothing is lost.
        """
        if urgent and (sent := self._short_way.send()) is not None:
            return sent
        market = self._preparing.begin_turn()
        with self._database.transaction() as session:
            moved = 0 if urgent else refuse_orphans(session, self._pool.kinds)
            standing = standing_of(session, self._chain.chain_id, market.nonces_used.keys())
            self._nonces.require_known(session, market.nonces_used, standing)
            self._note_fees(session, market)
            groups = self._ready(session, {key: each.flying for key, each in standing.items()})
        mine = standing.get(self._signer.address)
        self._purse = Purse(market.balance_wei - (mine.committed_wei if mine else 0))
        if groups:
            with Pipeline(self._preparing.prepare, together=self.together) as pipeline:
                for bunch in pipeline.each(groups):
                    moved += self._send_bunch(pipeline, bunch)
        return moved

    def _note_fees(self, session: Session, market: Market) -> None:
        """Let nothing say any longer that it waits for fees, once they are below the ceiling."""
        if self._was_dear and market.fee is not None:
            forget_waiting(session, ["fee_above_ceiling"])
        self._was_dear = market.fee is None

    def _ready(self, session: Session, flying: Mapping[bytes, int]) -> list[list[UUID]]:
        """Give what may be sent now, by transaction."""
        ready = self._pool.list_ready(session, self._pool.free(flying) * self._batch_rows)
        found = {operation.id: operation for operation in ready}
        groups = [
            Group(found[rows[0]].kind, rows, waits=found[rows[0]].waits_for is not None)
            for rows in batches.group(ready, self._batch_rows)
        ]
        return self._pool.share(session, groups, flying)

    def _send_bunch(self, pipeline: _Pipeline, bunch: Sequence[Begun[Priced]]) -> int:
        """Send several batches together; if anything is in the way of one, each by itself."""
        moved = 0
        if len(bunch) > 1:
            with contained(bunch[0].rows[0]):
                moved = self._send_together(pipeline, bunch)
        for each in () if moved else bunch:
            with contained(each.rows[0]):
                moved += self._send(pipeline, each.rows, each.prepared)
        return moved

    def _send_together(self, pipeline: _Pipeline, bunch: Sequence[Begun[Priced]]) -> int:
        try:
            ready = [Ready(each.rows, each.prepared()) for each in bunch]
        except (RpcUnavailable, RpcInconsistent):
            return 0  # by themselves, those before it go out
        except (Reverted, PolicyRefused, MustWait, RpcRefused, RegistryError) as fault:
            log.debug("batches_part", batches=len(bunch), reason=repr(fault))
            return 0
        try:
            if all(each.priced.fits for each in ready):
                return self._sign_and_broadcast(pipeline, ready)
        except (Forbidden, PolicyRefused, MustWait, RpcRefused, RegistryError) as fault:
            log.debug("batches_part", batches=len(bunch), reason=repr(fault))
        return 0

    def _send(
        self, pipeline: _Pipeline, rows: Sequence[UUID], prepared: Callable[[], Priced]
    ) -> int:
        if len(rows) == 1 or self.together == 1:
            # What is sent alone may rely on what was sent before it, and be relied on; and where
            # a pool may keep something behind a gap, the next nonce is asked for after that.
            pipeline.settle()
        if len(rows) == 1:
            return self._send_one(pipeline, rows[0], prepared)
        return self._send_batch(pipeline, rows, prepared)

    def _send_anew(self, pipeline: _Pipeline, rows: Sequence[UUID]) -> int:
        """Send rows that went with others a moment ago."""
        return self._send(pipeline, rows, lambda: self._preparing.prepare(rows)) if rows else 0

    def _send_batch(
        self, pipeline: _Pipeline, rows: Sequence[UUID], prepared: Callable[[], Priced]
    ) -> int:
        """Send operations as one transaction, or as two where they do not fit or one is bad."""
        reason = "it takes too much of a block"
        try:
            priced = prepared()
            if priced.fits:
                return self._sign_and_broadcast(pipeline, [Ready(rows, priced)])
        except Forbidden as forbidden:
            for row, refusal in forbidden.refusals.items():
                self._refuse(row, problem_of(refusal))
            allowed = [row for row in rows if row not in forbidden.refusals]
            return len(forbidden.refusals) + self._send_anew(pipeline, allowed)
        except (Reverted, PolicyRefused) as refusal:
            reason = str(refusal)
        except MustWait as wait:
            self._wait(rows, wait)
            return 0
        except RpcRefused as refused:
            self._wait(rows, MustWait(node_refuses_problem(refused)))
            return 0
        except RegistryError as refusal:
            # Some row's record is gone or ended: alone, each tells.
            reason = refusal.code
        left = self._still_planned(rows)
        if len(left) < len(rows):
            # Another worker was faster: what it has done already may be all that reverts.
            return self._send_anew(pipeline, left)
        log.info("batch_halved", operation=str(rows[0]), rows=len(rows), reason=reason)
        failpoints.reach("batch_halved")
        middle = len(rows) // 2
        first, second = rows[:middle], rows[middle:]
        return self._send_anew(pipeline, first) + self._send_anew(pipeline, second)

    def _still_planned(self, rows: Sequence[UUID]) -> list[UUID]:
        with self._database.transaction() as session:
            found = load(session, rows)
            return [row.id for row in found if row.state == OperationState.PLANNED]

    def _send_one(
        self, pipeline: _Pipeline, operation_id: UUID, prepared: Callable[[], Priced]
    ) -> int:
        try:
            return self._sign_and_broadcast(pipeline, [Ready([operation_id], prepared())])
        except MustWait as wait:
            self._wait([operation_id], wait)
            return 0
        except RpcRefused as refused:
            # The node's own trouble (a rate limit, a block it lacks) says nothing of the call.
            self._wait([operation_id], MustWait(node_refuses_problem(refused)))
            return 0
        except Reverted as reverted:
            # The register says more than a contract that reverts.
            refusal = self._refusal_of(operation_id)
            problem = problem_of(refusal) if refusal else revert_problem(reverted)
        except PolicyRefused as forbidden:
            problem = forbidden.problem
        except Forbidden as forbidden:
            problem = problem_of(forbidden.refusals[operation_id])
        except RegistryError as refused:
            problem = problem_of(refused)
        return int(self._refuse(operation_id, problem))

    def _refusal_of(self, operation_id: UUID) -> RegistryError | None:
        """Ask the register whether it forbids an operation, and why."""
        with self._database.transaction() as session:
            found = load(session, [operation_id])
            return EFFECTS[found[0].kind].refusals(session, found).get(operation_id)

    def _wait(self, rows: Sequence[UUID], wait: MustWait) -> None:
        """Say what operations wait for, and leave them to another key if one can send them."""
        with self._database.transaction() as session:
            note_waiting(session, rows, wait.problem)
            if wait.of_key:
                self._pool.rest(session, str(wait.problem["code"]))

    def _sign_and_broadcast(self, pipeline: _Pipeline, bunch: Sequence[Ready]) -> int:
        """Send what was prepared; how many operations moved, none if another worker has some."""
        try:
            with contextlib.ExitStack() as stack:
                steps = [step(self._database, "sign", each.rows) for each in bunch]
                spans = [stack.enter_context(each) for each in steps]
                attempts = self._sign(bunch)
                for span, attempt in zip(spans, attempts, strict=False):
                    span.note(tx=hex_of(attempt.tx_hash))
        except (SignerUnavailable, SignerRefused) as fault:
            raise MustWait(key_problem(fault), of_key=True) from fault
        if not attempts:
            return 0
        failpoints.reach("after_sign_commit")
        send = partial(self._attempts.broadcast, attempts)
        if len(bunch[0].rows) > 1:
            pipeline.hand_over(send)
        else:
            send()
        return sum(len(each.rows) for each in bunch)

    def _sign(self, bunch: Sequence[Ready]) -> Sequence[OperationAttempt]:
        """Take the nonces, sign and store, in one transaction; nothing if another worker did."""
        cost_wei = sum(each.priced.cost_wei for each in bunch)
        self._purse.require(self._signer, cost_wei)
        try:
            with self._database.transaction() as session:
                carriers = claim(session, [each.rows for each in bunch])
                first = self._nonces.take(session, len(bunch))
                attempts = [
                    self._sign_with(session, carrier, first + place, each.priced)
                    for place, (carrier, each) in enumerate(zip(carriers, bunch, strict=True))
                ]
                failpoints.reach("before_sign_commit")
        except Taken:
            return ()
        self._purse.spend(cost_wei)
        return attempts

    def _sign_with(
        self, session: Session, carrier: Operation, nonce: int, priced: Priced
    ) -> OperationAttempt:
        assert carrier.nonce is None, "what is planned owns no nonce"
        carrier.signer, carrier.nonce = self._signer.address, nonce
        if carrier.state == OperationState.PLANNED:
            batches.move(session, carrier, OperationState.SIGNED)
        return self._attempts.sign(session, carrier, priced, is_first=True)

    def _refuse(self, operation_id: UUID, problem: dict[str, object]) -> bool:
        """Refuse an operation, unless another worker has signed it meanwhile."""
        with self._database.transaction() as session:
            operation = session.get_one(Operation, operation_id, with_for_update=True)
            if operation.state != OperationState.PLANNED:
                return False
            refuse(session, operation, problem)
            failpoints.reach("before_refuse_commit")
        failpoints.reach("after_refuse_commit")
        return True

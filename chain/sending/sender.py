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

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from uuid import UUID

import structlog
from sqlmodel import Session, col, select

from chain.errors import (
    ChainError,
    MustWait,
    PolicyRefused,
    Reverted,
    RpcRefused,
    SignerRefused,
    SignerUnavailable,
)
from chain.node.client import hex_of
from chain.operations import EFFECTS
from chain.operations.effect import Call, Chain
from chain.sending import batches
from chain.sending.attempts import Attempts
from chain.sending.faults import contained
from chain.sending.fees import Fees, Market, Priced
from chain.sending.funds import Purse
from chain.sending.nonces import Nonces
from chain.sending.outbox import (
    is_anything_planned,
    key_problem,
    list_ready,
    note_waiting,
    problem_of,
    refuse,
    refuse_orphans,
    revert_problem,
    too_early_problem,
)
from chain.sending.pipeline import Pipeline
from chain.sending.pool import MAX_IN_FLIGHT, Pool
from chain.sending.resender import Resender
from chain.sending.second_look import NodeBehind, confirm_revert
from chain.sending.short_way import ShortWay
from chain.sending.standing import standing_of
from chain.sending.steps import step
from chain.sending.trailer import estimable
from chain.signing.port import Signer
from registry.kernel import failpoints
from registry.kernel.db import Database
from registry.kernel.errors import RegistryError
from registry.kernel.rows import among
from registry.operation.models import Operation, OperationAttempt, OperationState

log = structlog.get_logger()

__all__ = ["MAX_IN_FLIGHT", "Sender"]

BATCH_ROWS = 100
"""Rows of the largest batch: what a batch of mints may be by `erc3643-facts` section 7."""


class _NotNow(ChainError):
    """Whether the call may be sent will be known later."""


class _Forbidden(Exception):
    """The register forbids some of what was to be signed."""

    def __init__(self, refusals: Mapping[UUID, RegistryError]) -> None:
        super().__init__(f"{len(refusals)} refused")
        self.refusals = refusals


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
        on_broadcast: Callable[[], object] = lambda: None,
    ) -> None:
        self._database = database
        self._chain = chain
        self._signer = signer
        self._batch_rows = batch_rows
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
        # Of one turn: what the chain asks for, and what the key can spend.
        self._market: Market | None = None
        self._purse = Purse(0)

    @property
    def kinds(self) -> AbstractSet[str]:
        """Kinds of operations that this key may send."""
        return set(self._pool.kinds)

    def has_work(self, session: Session) -> bool:
        """Tell whether anything is planned that this key might send."""
        return is_anything_planned(session, self._pool.kinds)

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
        self._market = None
        market = self._look()
        with self._database.transaction() as session:
            moved = 0 if urgent else refuse_orphans(session, self._pool.kinds)
            standing = standing_of(session, self._chain.chain_id, market.nonces_used.keys())
            self._nonces.require_known(session, market.nonces_used, standing)
            groups = self._ready(session, {key: each.flying for key, each in standing.items()})
        mine = standing.get(self._signer.address)
        self._purse = Purse(market.balance_wei - (mine.committed_wei if mine else 0))
        if groups:
            with Pipeline(self._prepare) as pipeline:
                for rows, prepared in pipeline.each(groups):
                    with contained(rows[0]):
                        moved += self._send(pipeline, rows, prepared)
        return moved

    def _ready(self, session: Session, flying: Mapping[bytes, int]) -> list[list[UUID]]:
        """Give what may be sent now, by transaction."""
        most = self._pool.free(flying) * self._batch_rows
        ready = list_ready(session, self._pool.ready_kinds(session), most)
        kinds = {operation.id: operation.kind for operation in ready}
        groups = batches.group(ready, self._batch_rows)
        return self._pool.share(session, [(kinds[rows[0]], rows) for rows in groups], flying)

    def _prepare(self, rows: Sequence[UUID]) -> Priced:
        with step(self._database, "prepare", rows):
            return self._price(self._call(rows), len(rows))

    def _send(
        self, pipeline: _Pipeline, rows: Sequence[UUID], prepared: Callable[[], Priced]
    ) -> int:
        if len(rows) == 1:
            # What is sent alone may rely on what was sent before it, and be relied on.
            pipeline.settle()
            return self._send_one(pipeline, rows[0], prepared)
        return self._send_batch(pipeline, rows, prepared)

    def _send_anew(self, pipeline: _Pipeline, rows: Sequence[UUID]) -> int:
        """Send rows that went with others a moment ago."""
        return self._send(pipeline, rows, lambda: self._prepare(rows)) if rows else 0

    def _send_batch(
        self, pipeline: _Pipeline, rows: Sequence[UUID], prepared: Callable[[], Priced]
    ) -> int:
        """Send operations as one transaction, or as two where they do not fit or one is bad."""
        reason = "it takes too much of a block"
        try:
            priced = prepared()
            if priced.fits:
                return len(rows) if self._sign_and_broadcast(pipeline, rows, priced) else 0
        except _Forbidden as forbidden:
            for row, refusal in forbidden.refusals.items():
                self._refuse(row, problem_of(refusal))
            allowed = [row for row in rows if row not in forbidden.refusals]
            return len(forbidden.refusals) + self._send_anew(pipeline, allowed)
        except (Reverted, PolicyRefused) as refusal:
            reason = str(refusal)
        except MustWait as wait:
            self._wait(rows, wait)
            return 0
        except (RpcRefused, _NotNow) as refused:
            log.warning("batch_waits", operation=str(rows[0]), rows=len(rows), reason=str(refused))
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
            found = _load(session, rows)
            return [row.id for row in found if row.state == OperationState.PLANNED]

    def _send_one(
        self, pipeline: _Pipeline, operation_id: UUID, prepared: Callable[[], Priced]
    ) -> int:
        try:
            return int(self._sign_and_broadcast(pipeline, [operation_id], prepared()))
        except MustWait as wait:
            self._wait([operation_id], wait)
            return 0
        except (RpcRefused, _NotNow) as refused:
            # The node's own trouble (a rate limit, a block it lacks) says nothing of the call.
            log.warning("operation_waits", operation=str(operation_id), reason=str(refused))
            return 0
        except Reverted as reverted:
            # The register says more than a contract that reverts.
            refusal = self._refusal_of(operation_id)
            problem = problem_of(refusal) if refusal else revert_problem(reverted)
        except PolicyRefused as forbidden:
            problem = forbidden.problem
        except _Forbidden as forbidden:
            problem = problem_of(forbidden.refusals[operation_id])
        except RegistryError as refused:
            problem = problem_of(refused)
        return int(self._refuse(operation_id, problem))

    def _refusal_of(self, operation_id: UUID) -> RegistryError | None:
        """Ask the register whether it forbids an operation, and why."""
        with self._database.transaction() as session:
            found = _load(session, [operation_id])
            return EFFECTS[found[0].kind].refusals(session, found).get(operation_id)

    def _call(self, rows: Sequence[UUID]) -> Call:
        """Give the one call that does these."""
        try:
            with self._database.transaction() as session:
                found = _load(session, rows)
                effect = EFFECTS[found[0].kind]
                if len(found) == 1:
                    return effect.prepare(session, self._chain, found[0])
                return effect.fold(session, self._chain, found)
        except (SignerUnavailable, SignerRefused) as fault:
            # The claim key: whoever sends would have to ask it.
            raise MustWait(key_problem(fault)) from fault

    def _price(self, call: Call, rows: int) -> Priced:
        """Price a call; what reverts is judged only when nothing of ours is on its way."""
        market = self._look()
        try:
            return self._fees.price(call, market, rows=rows)
        except Reverted:
            if not self._all_told():
                raise _NotNow("it reverts, and something of ours is not mined yet") from None
        # One of ours may have been mined between the two looks; now nothing is on its way.
        try:
            return self._fees.price(call, market, rows=rows)
        except Reverted as reverted:
            whole = estimable(call, rows)
            try:
                confirm_revert(self._database, self._chain, self._signer.address, whole)
            except NodeBehind as behind:
                raise _NotNow(str(behind)) from None
            if reverted.name in call.too_early:
                raise MustWait(too_early_problem(reverted)) from None
            raise

    def _look(self) -> Market:
        """Give what the chain asks for, as it was when this turn first asked."""
        if self._market is None:
            self._market = self._fees.look()
        return self._market

    def _all_told(self) -> bool:
        """Tell whether chain and database know the same of every key of ours."""
        return all(
            Nonces(self._database, self._chain, key).is_told() for key in self._chain.senders
        )

    def _wait(self, rows: Sequence[UUID], wait: MustWait) -> None:
        """Say what operations wait for, and leave them to another key if one can send them."""
        with self._database.transaction() as session:
            note_waiting(session, rows, wait.problem)
            if wait.of_key:
                self._pool.rest(session, str(wait.problem["code"]))

    def _sign_and_broadcast(
        self, pipeline: _Pipeline, rows: Sequence[UUID], priced: Priced
    ) -> bool:
        try:
            with step(self._database, "sign", rows) as spans:
                attempt = self._sign(rows, priced)
                spans.note(tx=hex_of(attempt.tx_hash) if attempt else None)
        except (SignerUnavailable, SignerRefused) as fault:
            raise MustWait(key_problem(fault), of_key=True) from fault
        if attempt is not None:
            failpoints.reach("after_sign_commit")
            send = partial(self._attempts.broadcast, [attempt])
            if len(rows) > 1:
                pipeline.hand_over(send)
            else:
                send()
        return attempt is not None

    def _sign(self, rows: Sequence[UUID], priced: Priced) -> OperationAttempt | None:
        """Take the nonce, sign and store, in one transaction; None if another worker did."""
        with self._database.transaction() as session:
            self._purse.require(self._signer, priced.cost_wei)
            found = session.exec(
                select(Operation)
                .where(
                    among(col(Operation.id), rows),
                    col(Operation.state) == OperationState.PLANNED,
                )
                .order_by(col(Operation.id))
                .with_for_update(skip_locked=True)
            ).all()
            if len(found) != len(rows):
                return None
            refusals = EFFECTS[found[0].kind].refusals(session, found)
            if refusals:
                raise _Forbidden(refusals)
            carrier = (
                found[0]
                if len(found) == 1
                else batches.bind(session, found, state=OperationState.SIGNED)
            )
            assert carrier.nonce is None, "what is planned owns no nonce"
            carrier.signer, carrier.nonce = self._signer.address, self._nonces.take(session)
            if carrier.state == OperationState.PLANNED:
                batches.move(session, carrier, OperationState.SIGNED)
            attempt = self._attempts.sign(session, carrier, priced, is_first=True)
            failpoints.reach("before_sign_commit")
        self._purse.spend(priced.cost_wei)
        return attempt

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


def _load(session: Session, rows: Sequence[UUID]) -> Sequence[Operation]:
    """Give operations in the order of planning, which is the order of their ids."""
    return session.exec(
        select(Operation).where(among(col(Operation.id), rows)).order_by(col(Operation.id))
    ).all()

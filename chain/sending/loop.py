"""The loop that sends what is planned, and looks at what time brings about."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager

from sqlalchemy.exc import OperationalError

from chain.contracts.platform import plan_platform
from chain.errors import NonceAhead, WrongChain
from chain.node.node_watch import QuorumWait
from chain.operations.effect import Chain
from chain.sending.funds import FundsWatch
from chain.sending.outbox import nonce_ahead_problem, wrong_chain_problem
from chain.sending.pipeline import TOGETHER
from chain.sending.rebuild import Rebuild
from chain.sending.roles import plan_grants
from chain.sending.sender import Sender
from chain.sending.standstill import Standstill
from chain.sending.waiter import Waiter
from registry.kernel.db import Database
from registry.operation.service import ANYTHING, is_anything_open
from registry.sweep.service import sweep

IDLE_SECONDS = 2.0
"""How often the worker looks again at what waits or is on its way."""

REST_SECONDS = 15.0
"""How often it looks where nothing is; a commit, or a reorg that the sync meets, wakes it."""

SWEEP_SECONDS = 60.0
"""How often the worker looks at what time alone brings about."""

TAKEN_SECONDS = 15.0
"""How often the worker looks whether something else has spent a nonce of an operation."""


class Sending:
    """Takes turns of every key.

    Parameters
    ----------
    waiter
        Tells whether somebody waits for this turn.
    rebuild
        Binds what the chain has and a database from an old backup has not.
    funds
        Looks at the money of the keys.
    on_broadcast
        Told of each transaction that went out.
    """

    def __init__(
        self,
        database: Database,
        chain: Chain,
        waiter: Waiter,
        *,
        rebuild: Rebuild,
        funds: FundsWatch,
        on_broadcast: Callable[[], object],
    ) -> None:
        self._database = database
        self._chain = chain
        self._waiter = waiter
        self._rebuild = rebuild
        self._funds = funds
        self._quorum = QuorumWait(database)
        self._standstill = Standstill(database)
        self._senders = [
            Sender(database, chain, signer, on_broadcast=on_broadcast) for signer in chain.senders
        ]
        self._at_start = True
        self._has_hurried = False
        self._round_at = self._sweep_at = self._taken_at = time.monotonic()

    def turn(self) -> float:
        """Send what may be sent; a whole round looks at everything else as well.

        Returns
        -------
        float
            Seconds to wait before the next turn.

        Raises
        ------
        NonceAhead
            Something was sent that is not ours; a person must look at it.
        WrongChain, RpcUnavailable
            Nothing is sent until that has ended.
        """
        with self._quorum.told(), self._anew_after_a_break():
            is_due = time.monotonic() >= self._round_at
            # Where somebody waits, the keys that have something to send come first, and send
            # nothing else; the next turn is a whole round, if one is due.
            urgent = self._urgent(self._waiter.take_woken(), is_due=is_due)
            if urgent:
                self._has_hurried = is_due
                moved = self._send_planned(urgent, urgent=True)
            elif is_due:
                moved = self._round()
            else:
                moved = 0
        if moved:
            return 0.0
        with self._database.transaction() as session:
            return IDLE_SECONDS if is_anything_open(session) else REST_SECONDS

    @contextmanager
    def _anew_after_a_break(self) -> Iterator[None]:
        """Begin as at the start once the database was away: it may have been put back meanwhile."""
        try:
            yield
        except OperationalError:
            self._at_start = True
            raise

    def _urgent(self, woken_for: AbstractSet[str], *, is_due: bool) -> Sequence[Sender]:
        """Give the keys that do not wait for the round."""
        if self._at_start or (is_due and (self._has_hurried or not woken_for)):
            return ()
        if woken_for and ANYTHING not in woken_for:
            return [sender for sender in self._senders if sender.kinds & woken_for]
        with self._database.transaction() as session:
            return [sender for sender in self._senders if sender.has_work(session)]

    def _round(self) -> int:
        """Look at everything: what time brought about, what the chain forgot, what is planned."""
        self._round_at = time.monotonic() + IDLE_SECONDS
        self._has_hurried = False
        self._require_our_chain()
        if time.monotonic() >= self._sweep_at:
            # Set first: a round that fails waits for the next one like any other.
            self._sweep_at = time.monotonic() + SWEEP_SECONDS
            sweep(self._database)
            self._funds.look()
        if self._at_start:
            with self._database.transaction() as session:
                plan_platform(session, self._chain.chain_id)
                plan_grants(session, self._chain)
        elif time.monotonic() >= self._taken_at:
            self._taken_at = time.monotonic() + TAKEN_SECONDS
            self._rebuild.look_for_taken()
        # In this order: what the chain forgot is sent again before anything new is judged
        # against a state from which it is missing. Between two rounds what reverts waits while
        # anything of ours is not mined, so nothing is judged wrongly then either.
        for sender in self._senders:
            sender.take_back_vanished()
        moved = sum(sender.resend_forgotten(at_start=self._at_start) for sender in self._senders)
        moved += self._send_planned(self._senders)
        self._at_start = False
        return moved

    def _send_planned(self, senders: Sequence[Sender], *, urgent: bool = False) -> int:
        try:
            if self._at_start:
                # A database is put back while no worker is connected to it.
                is_sure = self._rebuild.require_no_gaps()
                for sender in self._senders:
                    sender.together = TOGETHER if is_sure else 1
            moved = sum(sender.send_planned(urgent=urgent) for sender in senders)
        except WrongChain as fault:
            self._standstill.tell(wrong_chain_problem(fault))
            raise
        except NonceAhead as fault:
            # A database from an old backup: what the chain tells of ours is bound again. What
            # is not ours needs a person.
            left_open = self._rebuild.mend()
            if left_open:
                self._standstill.tell(nonce_ahead_problem(fault, left_open))
                raise
            return 1
        else:
            self._standstill.untell()
            return moved

    def _require_our_chain(self) -> None:
        """Make sure that the node still serves our chain: it may have been exchanged meanwhile.

        Without the question, everything final would look vanished, and be taken back.

        Raises
        ------
        WrongChain, RpcUnavailable
            What could be sent says what it waits for.
        """
        try:
            self._chain.client.check()
        except WrongChain as fault:
            self._standstill.tell(wrong_chain_problem(fault))
            raise

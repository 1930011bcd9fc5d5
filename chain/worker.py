"""The loops beside the API: operations, the chain read back, files imported and exported."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence

import psycopg
import structlog
from eth_utils.address import to_checksum_address
from sqlalchemy.exc import OperationalError

from chain.errors import ChainError, NonceAhead, WrongChain
from chain.follower import Follower
from chain.funds import FundsWatch
from chain.guard import Guard
from chain.heads import Heads
from chain.indexer import Indexer
from chain.node_watch import NodeRecorder, QuorumWait
from chain.operations import EFFECTS
from chain.operations.effect import Chain
from chain.outbox import list_ready, note_waiting, wrong_chain_problem
from chain.platform import plan_platform
from chain.pool import MAX_IN_FLIGHT
from chain.rebuild import Rebuild
from chain.reconciler import HOLDERS_PER_SECOND, Reconciler
from chain.roles import plan_grants
from chain.sender import Sender
from chain.tracker import Tracker
from chain.watch import Watch
from chain.writer import STANDBY_SECONDS, Writer
from registry.bulk.runner import ImportWorker
from registry.captable.projection import CursorMoved
from registry.document.store import DocumentStore
from registry.export.runner import ExportWorker
from registry.kernel.db import Database
from registry.kernel.settings import Finality
from registry.kernel.vault import Vault
from registry.operation.service import WAKE_CHANNEL, is_anything_open
from registry.sweep.service import sweep

log = structlog.get_logger()

IDLE_SECONDS = 2.0
"""How often the worker looks again at what waits or is on its way."""

REST_SECONDS = 15.0
"""How often it looks where nothing is; a commit, or a reorg that the sync meets, wakes it."""

POLL_SECONDS = 0.2
LIVE_POLL_SECONDS = 2.0
"""How often a new block is looked for although each one is announced."""

BACKOFF_SECONDS = 1.0
IMPORT_POLL_SECONDS = 1.0
EXPORT_POLL_SECONDS = 0.5
SWEEP_SECONDS = 60.0
"""How often the worker looks at what time alone brings about."""

TAKEN_SECONDS = 15.0
"""How often the worker looks whether something else has spent a nonce of an operation."""

WANTED_OPERATIONS = 100

STOP_SECONDS = 0.5
"""The longest that a sleeping worker does not notice that it shall stop."""


def run_worker(
    database: Database,
    chain: Chain,
    stop: threading.Event,
    *,
    finality: Finality,
    wanted_operations: int = WANTED_OPERATIONS,
) -> None:
    """Carry operations out, and fire what time fires, until `stop` is set.

    Parameters
    ----------
    wanted_operations
        A key whose money lasts for fewer is warned of.
    """
    follower = Follower(chain.client, Tracker(database, chain, finality=finality), stop)
    senders = [
        Sender(database, chain, signer, on_broadcast=follower.bell.set) for signer in chain.senders
    ]
    rebuild = Rebuild(database, chain, finality=finality)
    funds = FundsWatch(database, chain, wanted_operations=wanted_operations)
    waiter = _Waiter(database, stop)
    quorum = QuorumWait(database)
    at_start = True
    sweep_at = taken_at = round_at = time.monotonic()

    def turn() -> float:
        with quorum.told():
            return work()

    def work() -> float:
        nonlocal at_start
        # Where somebody waits, the keys that have something to send come first; the next turn
        # is a whole round, if one is due.
        is_round = not waiter.take_woken() and time.monotonic() >= round_at
        asked = senders if is_round else _with_work(database, senders)
        if asked:
            _require_our_chain(database, chain)
        if is_round:
            begin_round()
        # In this order: what the chain forgot is sent again before anything new is judged
        # against a state from which it is missing.
        moved = sum(sender.resend_forgotten(at_start=at_start) for sender in asked)
        at_start = at_start and not is_round
        if is_round:
            look_for_taken()
        try:
            moved += sum(sender.send_planned() for sender in asked)
        except NonceAhead:
            # A database from an old backup: what the chain tells of ours is bound again. What
            # is not ours needs a person.
            if not rebuild.mend():
                raise
            moved += 1
        if moved:
            return 0.0
        with database.transaction() as session:
            return IDLE_SECONDS if is_anything_open(session) else REST_SECONDS

    def begin_round() -> None:
        nonlocal sweep_at, round_at
        round_at = time.monotonic() + IDLE_SECONDS
        if time.monotonic() >= sweep_at:
            # Set first: a round that fails waits for the next one like any other.
            sweep_at = time.monotonic() + SWEEP_SECONDS
            sweep(database)
            funds.look()
        if at_start:
            with database.transaction() as session:
                plan_platform(session, chain.chain_id)
                plan_grants(session, chain)

    def look_for_taken() -> None:
        nonlocal taken_at
        if time.monotonic() >= taken_at:
            taken_at = time.monotonic() + TAKEN_SECONDS
            rebuild.look_for_taken()

    # Beside the sending: what is mined is recorded while the next is signed.
    following = threading.Thread(
        target=_repeat, args=("tracker", follower.turn, follower.wait, stop), name="tracker"
    )
    following.start()
    try:
        _repeat("worker", turn, waiter.wait, stop)
    finally:
        following.join()
        waiter.close()


def _with_work(database: Database, senders: Sequence[Sender]) -> Sequence[Sender]:
    with database.transaction() as session:
        return [sender for sender in senders if sender.has_work(session)]


def _require_our_chain(database: Database, chain: Chain) -> None:
    """Make sure that the node still serves our chain: it may have been exchanged meanwhile.

    Without the question, everything final would look vanished, and be taken back.

    Raises
    ------
    WrongChain, RpcUnavailable
        What could be sent says what it waits for.
    """
    try:
        chain.client.check()
    except WrongChain as fault:
        with database.transaction() as session:
            ready = list_ready(session, list(EFFECTS), MAX_IN_FLIGHT)
            note_waiting(session, [operation.id for operation in ready], wrong_chain_problem(fault))
        raise


def run_sync(
    database: Database,
    client: ChainClient,
    stop: threading.Event,
    *,
    finality: Finality,
    holders_per_second: int = HOLDERS_PER_SECOND,
    announced_at: Sequence[str] = (),
) -> None:
    """Project the chain's events, raise the alarm, prove the projection, until `stop` is set.

    Only one program at a time does so for a chain; others stand by until it ends.

    Parameters
    ----------
    holders_per_second
        How many are proven besides those who changed.
    announced_at
        Where nodes announce new blocks, see `chain.heads`; else they are looked for.
    """
    writer = Writer(database, client)
    guard = Guard(writer.database, client, finality=finality)
    indexer = Indexer(writer.database, client)
    reconciler = Reconciler(writer.database, client, holders_per_second=holders_per_second)
    watch = Watch(writer.database, client.chain_id)
    nodes = NodeRecorder(database, client)
    heads = Heads(announced_at, stop, client.hint)

    def turn() -> float:
        try:
            if not writer.hold():
                return STANDBY_SECONDS
            if (wrong := guard.check_due()) is not None:
                indexer.take_back_wrong(wrong)
            if indexer.advance():
                heads.found()
                return 0.0
            guard.note_final()
            watch.look()
            reconciler.reconcile_due()
            return LIVE_POLL_SECONDS if heads.is_live else POLL_SECONDS
        finally:
            nodes.record()

    _repeat("sync", turn, heads.wait, stop)
    heads.close()
    writer.release()


def run_imports(
    database: Database, vault: Vault, store: DocumentStore, stop: threading.Event
) -> None:
    """Work bulk imports off until `stop` is set."""
    worker = ImportWorker(database, vault, store)

    def turn() -> float:
        return 0.0 if worker.turn(stop) else IMPORT_POLL_SECONDS

    _repeat("imports", turn, stop.wait, stop)


def run_exports(
    database: Database, vault: Vault, store: DocumentStore, stop: threading.Event
) -> None:
    """Write exports of cap tables until `stop` is set."""
    worker = ExportWorker(database, vault, store, to_checksum_address)

    def turn() -> float:
        return 0.0 if worker.turn(stop) else EXPORT_POLL_SECONDS

    _repeat("exports", turn, stop.wait, stop)


def _repeat(
    name: str,
    turn: Callable[[], float],
    wait: Callable[[float], object],
    stop: threading.Event,
) -> None:
    """Take turns until `stop`; a fault is told and waited out, and loses nothing."""
    while not stop.is_set():
        try:
            pause = turn()
        except NonceAhead as fault:
            log.error("sending_stopped", loop=name, reason=str(fault))  # noqa: TRY400
            pause = 10 * BACKOFF_SECONDS
        except (ChainError, CursorMoved, OperationalError, psycopg.OperationalError) as fault:
            log.warning("loop_waits", loop=name, fault=type(fault).__name__, reason=str(fault))
            pause = BACKOFF_SECONDS
        except Exception:
            # A bug: every state is in the database, so going on cannot make it worse, while
            # stopping would leave people's orders standing.
            log.exception("loop_fault", loop=name)
            pause = 10 * BACKOFF_SECONDS
        if pause and not stop.is_set():
            wait(pause)


class _Waiter:
    """Sleeps until a transaction commits that has work for us (LISTEN/NOTIFY), or time is up."""

    def __init__(self, database: Database, stop: threading.Event) -> None:
        self._url = database.driver_url
        self._stop = stop
        self._connection: psycopg.Connection | None = None
        self._is_woken = False

    def take_woken(self) -> bool:
        """Tell whether a transaction has ended the last sleep; once only."""
        was_woken, self._is_woken = self._is_woken, False
        return was_woken

    def wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
            if self._listen(min(left, STOP_SECONDS)):
                self._is_woken = True
                return

    def _listen(self, seconds: float) -> bool:
        try:
            if self._connection is None:
                self._connection = psycopg.connect(self._url, autocommit=True)
                self._connection.execute(f"LISTEN {WAKE_CHANNEL}")
            woken = any(True for _ in self._connection.notifies(timeout=seconds, stop_after=1))
            # One look answers everything that was said until now.
            woken |= bool(list(self._connection.notifies(timeout=0)))
        except psycopg.OperationalError as fault:
            log.warning("listening_lost", reason=str(fault))
            self.close()
            self._stop.wait(seconds)
            return False
        return woken

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.OperationalError):
                self._connection.close()
            self._connection = None

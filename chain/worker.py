"""The loops beside the API: operations, the chain read back, files imported and exported."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import timedelta

import psycopg
import structlog
from eth_utils.address import to_checksum_address
from sqlalchemy.exc import OperationalError

from chain.custody.making import KeyMaker
from chain.errors import ChainError, NonceAhead
from chain.node.client import ChainClient
from chain.node.heads import Heads
from chain.node.node_watch import NodeRecorder
from chain.operations.effect import Chain
from chain.proving.loop import Proving
from chain.proving.reconciler import HOLDERS_PER_SECOND, Reconciler
from chain.sending.follower import Follower
from chain.sending.funds import FundsWatch
from chain.sending.loop import Sending
from chain.sending.rebuild import Rebuild
from chain.sending.tracker import Tracker
from chain.sending.waiter import Waiter
from chain.sync.catch_up import CatchUp
from chain.sync.compacting import Compacting
from chain.sync.contract_catch_up import ContractCatchUp
from chain.sync.guard import Guard
from chain.sync.indexer import Indexer
from chain.sync.labels import Labels
from chain.sync.untold import Untold
from chain.sync.watch import Watch
from chain.sync.writer import STANDBY_SECONDS, Writer
from registry.alert.rounds import take_round
from registry.anchor.service import plan_due
from registry.bulk.runner import ImportWorker
from registry.captable.projection import CursorMoved
from registry.document.store import DocumentStore
from registry.export.runner import ExportWorker
from registry.investor import custody
from registry.kernel.db import Database
from registry.kernel.settings import Finality
from registry.kernel.vault import Vault
from registry.reconciliation.rounds import Rounds
from registry.sanctions.screening import screen_due

log = structlog.get_logger()

POLL_SECONDS = 0.2
LIVE_POLL_SECONDS = 2.0
"""How often a new block is looked for although each one is announced."""

BACKOFF_SECONDS = 1.0
IMPORT_POLL_SECONDS = 1.0
EXPORT_POLL_SECONDS = 0.5
SCREENING_POLL_SECONDS = 2.0
ALERTS_POLL_SECONDS = 2.0
RECONCILE_SECONDS = 10.0
CUSTODY_POLL_SECONDS = 15.0
"""How often keys to be made are looked for; who asks for one wakes us."""
ANCHOR_POLL_SECONDS = 15.0

WANTED_OPERATIONS = 100


def run_worker(
    database: Database,
    chain: Chain,
    stop: threading.Event,
    *,
    finality: Finality,
    wanted_operations: int = WANTED_OPERATIONS,
    anchor_minutes: int = 0,
) -> None:
    """Carry operations out, and fire what time fires, until `stop` is set.

    Parameters
    ----------
    wanted_operations
        A key whose money lasts for fewer is warned of.
    anchor_minutes
        How often the journal's root goes on chain, if something new is sealed; 0: when asked to.
    """
    follower = Follower(chain.client, Tracker(database, chain, finality=finality), stop)
    waiter = Waiter(database, stop)
    sending = Sending(
        database,
        chain,
        waiter,
        rebuild=Rebuild(database, chain, finality=finality),
        funds=FundsWatch(database, chain, wanted_operations=wanted_operations),
        on_broadcast=follower.bell.ring,
    )
    # Beside the sending: what is mined is recorded while the next is signed.
    following = threading.Thread(
        target=_repeat, args=("tracker", follower.turn, follower.wait, stop), name="tracker"
    )
    making = threading.Thread(target=_run_custody, args=(database, chain, stop), name="custody")
    anchoring = threading.Thread(
        target=_run_anchoring, args=(database, chain.chain_id, anchor_minutes, stop), name="anchors"
    )
    besides = (following, making, anchoring)
    for beside in besides:
        beside.start()
    try:
        _repeat("worker", sending.turn, waiter.wait, stop)
    finally:
        for beside in besides:
            beside.join()
        waiter.close()


def run_sync(
    database: Database,
    client: ChainClient,
    stop: threading.Event,
    *,
    finality: Finality,
    holders_per_second: int = HOLDERS_PER_SECOND,
    announced_at: Sequence[str] = (),
    is_ours: bool = True,
) -> None:
    """Project the chain's events, raise the alarm, prove the projection, until `stop` is set.

    Only one program at a time does so for a chain; others stand by until it ends.

    Parameters
    ----------
    holders_per_second
        How many are proven besides those who changed.
    announced_at
        Where nodes announce new blocks, see `chain.node.heads`; else they are looked for.
    is_ours
        The platform stands on this chain; on another one no case explains what agents do.
    """
    writer = Writer(database, client)
    guard = Guard(writer.database, client, finality=finality)
    indexer = Indexer(writer.database, client)
    behind = CatchUp(writer.database, client)
    platform = ContractCatchUp(writer.database, client)
    reconciler = Reconciler(
        writer.database, client, holders_per_second=holders_per_second, stop=stop
    )
    proving = Proving(reconciler, stop)
    watch = Watch(writer.database, client.chain_id)
    untold = Untold(writer.database, client)
    compacting = Compacting(writer.database, client.chain_id)
    labels = Labels(writer.database, client, is_ours=is_ours)
    nodes = NodeRecorder(database, client)
    heads = Heads(announced_at, stop, client.hint)

    def turn() -> float:
        if not writer.hold():
            proving.leave_head()
            return STANDBY_SECONDS
        if (wrong := guard.check_due()) is not None:
            indexer.take_back_wrong(wrong)
        if indexer.advance():
            proving.leave_head()
            heads.found()
            return 0.0
        # What one token has yet to tell holds up neither finality nor proofs of the others.
        is_behind = behind.advance()
        if is_ours and platform.advance():
            return 0.0
        guard.note_final()
        if is_ours:
            untold.turn()
            watch.look()
        compacting.turn()
        labels.turn()
        proving.reach_head()
        if is_behind:
            return 0.0
        return LIVE_POLL_SECONDS if heads.is_live else POLL_SECONDS

    def watched_turn() -> float:
        try:
            with proving.in_doubt():
                return turn()
        finally:
            nodes.record()

    # Beside the reading: a block is not to wait until the one before is proven.
    beside = threading.Thread(
        target=_repeat, args=("proofs", proving.turn, proving.wait, stop), name="proofs"
    )
    beside.start()
    try:
        _repeat("sync", watched_turn, heads.wait, stop)
    finally:
        beside.join()
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


def run_screening(database: Database, vault: Vault, stop: threading.Event) -> None:
    """Screen parties against the newest list of sanctions until `stop` is set."""

    def turn() -> float:
        return 0.0 if screen_due(database, vault) else SCREENING_POLL_SECONDS

    _repeat("screening", turn, stop.wait, stop)


def run_alerts(database: Database, vault: Vault, chain_id: int, stop: threading.Event) -> None:
    """Ask the rules of alerts about what is new, and reconcile what moved, until `stop` is set."""
    reconciling = Rounds(database, chain_id)
    due_at = 0.0

    def turn() -> float:
        nonlocal due_at
        if time.monotonic() >= due_at:
            reconciling.turn()
            due_at = time.monotonic() + RECONCILE_SECONDS
        return POLL_SECONDS if take_round(database, vault, chain_id) else ALERTS_POLL_SECONDS

    _repeat("alerts", turn, stop.wait, stop)


def run_exports(
    database: Database, vault: Vault, store: DocumentStore, stop: threading.Event
) -> None:
    """Write exports of cap tables until `stop` is set."""
    worker = ExportWorker(database, vault, store, to_checksum_address)

    def turn() -> float:
        return 0.0 if worker.turn(stop) else EXPORT_POLL_SECONDS

    _repeat("exports", turn, stop.wait, stop)


def _run_custody(database: Database, chain: Chain, stop: threading.Event) -> None:
    """Make the keys of custodial wallets until `stop` is set; without CUSTODY_KEYS, nothing."""
    if chain.custody is None:
        return
    maker = KeyMaker(database, chain.custody, chain.chain_id)
    waiter = Waiter(database, stop, custody.WAKE_CHANNEL)

    def turn() -> float:
        return 0.0 if maker.turn() else CUSTODY_POLL_SECONDS

    try:
        _repeat("custody", turn, waiter.wait, stop)
    finally:
        waiter.close()


def _run_anchoring(database: Database, chain_id: int, minutes: int, stop: threading.Event) -> None:
    """Plan the journal's anchors until `stop` is set; with 0 minutes, nothing."""
    if minutes == 0:
        return
    every = timedelta(minutes=minutes)

    def turn() -> float:
        with database.transaction() as session:
            plan_due(session, chain_id, every)
        return ANCHOR_POLL_SECONDS

    _repeat("anchors", turn, stop.wait, stop)


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

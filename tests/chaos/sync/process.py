"""The sync as a program of its own, that can be killed: `run_sync`, as the product runs it.

Only its pauses are shorter: a schedule has a second, not an hour. The server that forks it has
loaded all of this once.
"""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from chain import worker
from chain.contracts.abi import contract
from chain.node import client as chain_client
from chain.node import limits
from chain.node.client import ChainClient
from chain.sync import catch_up, writer
from registry.kernel import clock, failpoints
from registry.kernel.db import Database
from registry.kernel.settings import Finality
from tests.chaos.model.node import CHAIN_ID

BACKOFF_SECONDS = 0.02
POLL_SECONDS = 0.01
SILENT_SECONDS = 0.6
"""After so long a writer that does not beat is taken for dead."""
TIMEOUT_SECONDS = 1.0
"""How long it waits for a node; where an answer never comes, the model is silent for longer."""
NAMES = (
    *("Token", "IdentityRegistry", "CaseAgent", "TREXFactory", "ModularCompliance"),
    *("CallBatch", "HoldingReader"),
)

for _name in NAMES:
    contract(_name)


@dataclass(frozen=True, slots=True)
class Place:
    """Where it works.

    Parameters
    ----------
    finality
        As the setting of that name.
    log
        File that its words go to.
    failpoint
        Where it kills itself, see `registry.kernel.failpoints`.
    clock_seconds
        By so much the clock of its machine is ahead; that of the database is not.
    """

    database: str
    rpc_url: str
    finality: Finality
    log: Path
    failpoint: str | None = None
    clock_seconds: int = 0


def follow(place: Place) -> None:
    """Sync until SIGTERM."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    # Ctrl-C is for the simulator, which ends its processes itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    worker.BACKOFF_SECONDS = BACKOFF_SECONDS
    worker.POLL_SECONDS = POLL_SECONDS
    chain_client.TIMEOUT_SECONDS = TIMEOUT_SECONDS
    limits.REST_SECONDS = BACKOFF_SECONDS
    writer.BEAT_SECONDS = SILENT_SECONDS / 6
    writer.SILENT_SECONDS = SILENT_SECONDS
    vars(worker)["STANDBY_SECONDS"] = POLL_SECONDS
    catch_up.REST_SECONDS = 5 * BACKOFF_SECONDS
    if place.clock_seconds:
        _set_clock(timedelta(seconds=place.clock_seconds))
    with place.log.open("a") as words:
        structlog.configure(
            processors=[
                structlog.processors.TimeStamper("iso"),
                structlog.processors.format_exc_info,
                structlog.processors.KeyValueRenderer(key_order=["timestamp", "event"]),
            ],
            logger_factory=structlog.PrintLoggerFactory(words),
        )
        failpoints.arm(place.failpoint)
        database = Database(place.database, pool_size=4)
        client = ChainClient(place.rpc_url, CHAIN_ID, timeout_seconds=TIMEOUT_SECONDS)
        worker.run_sync(database, client, stop, finality=place.finality)
        database.dispose()


def _set_clock(ahead: timedelta) -> None:
    """Have every part of this program read the time of another clock."""
    told = clock.now

    def now() -> datetime:
        return told() + ahead

    for module in list(sys.modules.values()):
        if vars(module).get("now") is told:
            vars(module)["now"] = now

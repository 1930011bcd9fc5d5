"""One worker in a process of its own, forked from one that has imported everything.

Time runs faster for it: what waits for seconds in production waits for hundredths here, as long
as blocks come that much faster too.
"""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from chain import bell, worker
from chain.node.client import ChainClient
from chain.sending import follower, pool, rebuild, resender, waiter
from chain.sending import loop as sending
from registry.kernel import failpoints
from registry.kernel.db import Database
from registry.kernel.log import configure_logging
from tests.chain.nodes import CHAIN_ID
from tests.chaos.stage import chain_of, open_signers
from tests.forking import forking_context

CLIENT_SECONDS = 0.8
"""So long it waits for an answer of the node, where the node is made to be silent."""

_FORKS = forking_context()


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is started with.

    Parameters
    ----------
    client_seconds
        So long it waits for an answer of the node.
    """

    database_url: str
    node_url: str
    keys: Path
    pool: bool
    finality: int
    failpoint: str | None
    log: Path
    client_seconds: float = CLIENT_SECONDS


def start(orders: Orders) -> ForkServerProcess:
    process = _FORKS.Process(target=_main, args=(orders,), daemon=True)
    process.start()
    return process


def _main(orders: Orders) -> None:
    log = os.open(orders.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    configure_logging("info")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    _hurry()
    client = ChainClient(orders.node_url, CHAIN_ID, timeout_seconds=orders.client_seconds)
    chain = chain_of(open_signers(orders.keys), client, pool=orders.pool)
    failpoints.arm(orders.failpoint)
    database = Database(orders.database_url, pool_size=4)
    worker.run_worker(database, chain, stop, finality=orders.finality)


def _hurry() -> None:
    worker.BACKOFF_SECONDS = 0.04
    follower.BUSY_SECONDS = follower.REST_SECONDS = 0.06
    bell.STOP_SECONDS = waiter.STOP_SECONDS = 0.05
    sending.IDLE_SECONDS = sending.REST_SECONDS = 0.15
    rebuild.AGAIN_SECONDS = sending.TAKEN_SECONDS = 0.3
    resender.RESEND_AFTER = timedelta(seconds=0.3)
    pool.REST = timedelta(seconds=0.3)

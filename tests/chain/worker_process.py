"""One worker in a process of its own: `python -m tests.chain.worker_process DATABASE NODE KEYS`."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from api.tracing import start_tracing
from api.version import VERSION
from chain.node.client import ChainClient
from chain.operations.effect import Chain
from chain.signing.keystore import KeystoreSigner
from chain.worker import run_worker
from registry.kernel.db import Database
from registry.kernel.settings import Settings
from tests.chain.nodes import CHAIN_ID
from tests.chain.stage import PATIENT
from tests.chain.world import CONFIRMATIONS

PASSWORD = "correct horse"
KEYS = ("platform.json", "claim_issuer.json", "confirmer.json")


def main() -> None:
    database_url, node_url, folder = sys.argv[1:]
    stop = threading.Event()
    start_tracing(Settings(), VERSION)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    opened = [KeystoreSigner(Path(folder) / name, PASSWORD) for name in KEYS]
    chain = Chain(ChainClient(node_url, CHAIN_ID), opened[0], opened[1], opened[2], fees=PATIENT)
    run_worker(Database(database_url), chain, stop, finality=CONFIRMATIONS)


if __name__ == "__main__":
    main()

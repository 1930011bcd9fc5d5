"""The sync of `make duel-reorg`, as a program that can be killed: indexer and reconciler."""

from __future__ import annotations

import sys
import threading
import time

import structlog

from chain.errors import ChainError
from chain.node.client import ChainClient
from chain.proving.reconciler import Reconciler
from chain.sync.indexer import Indexer
from registry.captable.projection import CursorMoved
from registry.kernel.db import Database

POLL_SECONDS = 0.05
log = structlog.get_logger()


def main() -> None:
    url, rpc_url, chain_id = sys.argv[1:]
    database, client = Database(url), ChainClient(rpc_url, int(chain_id))
    indexer, reconciler = Indexer(database, client), Reconciler(database, client)
    print(f"syncing in {threading.get_native_id()}", flush=True)
    while True:
        try:
            if not indexer.advance():
                reconciler.reconcile_due()
                time.sleep(POLL_SECONDS)
        except (ChainError, CursorMoved) as fault:
            log.warning("sync_waits", fault=type(fault).__name__, reason=str(fault))
            time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()

"""One sync in a process of its own: `python -m tests.chain.sync_process DATABASE NODE FOLDER`.

Where the folder has a file `hold`, the program waits with each range that it has read, having
said so in a file `read`, until `hold` is gone.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Raw

from chain.node.client import ChainClient
from chain.worker import run_sync
from registry.kernel.db import Database
from registry.kernel.log import configure_logging
from tests.chain.nodes import CHAIN_ID
from tests.chain.world import CONFIRMATIONS


class HoldsBack(ChainClient):
    """Gives the logs only when it may."""

    folder: Path

    def logs(self, addresses: Sequence[bytes], first: int, last: int) -> list[Raw]:
        return self._held(super().logs(addresses, first, last))

    def logs_of_block(self, addresses: Sequence[bytes], block_hash: bytes) -> list[Raw]:
        return self._held(super().logs_of_block(addresses, block_hash))

    def _held(self, found: list[Raw]) -> list[Raw]:
        if (self.folder / "hold").exists():
            (self.folder / "read").touch()
            while (self.folder / "hold").exists():
                time.sleep(0.01)
        return found


def main() -> None:
    database_url, node_url, folder = sys.argv[1:]
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    configure_logging("info")
    client = HoldsBack(node_url, CHAIN_ID)
    client.folder = Path(folder)
    run_sync(Database(database_url), client, stop, finality=CONFIRMATIONS)


if __name__ == "__main__":
    main()

"""A node and an empty register, and a token that both know, for benches that follow a chain."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from api.starting import load_settings
from bench.gas_node import CHAIN_ID, free_port
from bench.sync_chain import NOWHERE, Emitter
from bench.sync_peers.ours import prepare_token
from chain.embedded.anvil import HOST, STATES_KEPT, launch
from chain.node.client import ChainClient
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres
from registry.kernel.settings import Settings


@contextlib.contextmanager
def node_and_register(*, states: int = STATES_KEPT, **more: str) -> Iterator[Settings]:
    """Start both, and give the settings of who works with them; all is gone afterwards.

    They are those of this process, and of what it starts.

    Parameters
    ----------
    states
        Blocks that the node can take away.
    more
        Settings beside the usual ones.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="milkiyat-bench-", ignore_cleanup_errors=True)
            )
        )
        server = stack.enter_context(EmbeddedPostgres(folder / "postgres"))
        node = launch(folder, free_port(), CHAIN_ID, states=states)
        stack.callback(node.end)
        os.environ.update(
            DATA_DIR=str(folder / "data"),
            PORT=str(free_port()),
            RPC_URL=f"http://{HOST}:{node.port}",
            DATABASE_URL=server.start(),
            LOG_LEVEL="error",
            **more,
        )
        yield load_settings()


def prepare_emitter(database: Database, client: ChainClient, emitter: Emitter) -> None:
    """Let the projection know of the token, and every proof of it hold."""
    emitter.stand_nowhere()
    prepare_token(database, client, emitter.token, emitter.deployed_at, NOWHERE, compliance=NOWHERE)

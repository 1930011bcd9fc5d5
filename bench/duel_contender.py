"""The sync of `make duel-reorg`, as a process that can be killed: what `milkiyat sync` runs.

That command opens the keys before, which no sync makes use of. This one says when it begins.
"""

from __future__ import annotations

import threading
import time
from multiprocessing.connection import Connection

from chain.following import run_syncs
from chain.node.heads import announcing
from chain.runtime import open_client
from registry.kernel import failpoints
from registry.kernel.collector import look_seldom
from registry.kernel.db import Database
from registry.kernel.log import configure_logging
from registry.kernel.settings import get_settings


def follow(begins: Connection, failpoint: str | None) -> None:
    """Follow the chain of the settings until somebody kills it.

    Parameters
    ----------
    begins
        Is sent when it begins, by `time.perf_counter`, which all processes share.
    failpoint
        Where it kills itself, see `registry.kernel.failpoints`.
    """
    settings = get_settings()
    configure_logging(settings.log_level)
    failpoints.arm(f"{failpoint}:kill" if failpoint else None)
    look_seldom()
    assert settings.database_url is not None
    assert settings.rpc_url is not None
    database = Database(settings.database_url.get_secret_value())
    client = open_client(settings, settings.rpc_url)
    heads = announcing(settings.rpc_url, settings.rpc_ws_url)
    begins.send(time.perf_counter())
    run_syncs(database, settings, client, threading.Event(), announced_at=heads)

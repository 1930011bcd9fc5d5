"""The API on a register that a bench has made, in a process of its own."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import TypeVar
from urllib.request import urlopen

from api.deps import Services
from api.program import services
from api.starting import load_settings
from bench.captable_rows import CHAIN_ID
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres
from registry.kernel.settings import Settings

Stage = TypeVar("Stage")
START_SECONDS = 60.0


@contextlib.contextmanager
def serving_stage(build: Callable[[Services, Database], Stage]) -> Iterator[tuple[Settings, Stage]]:
    """Let `build` fill a database, and serve it; all of it is gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="milkiyat-bench-", ignore_cleanup_errors=True) as name,
        contextlib.ExitStack() as stack,
    ):
        folder = Path(name)
        folder.chmod(0o755)
        server = stack.enter_context(EmbeddedPostgres(folder / "postgres"))
        settings = _settings(folder, server.start())
        assert settings.database_url is not None
        database = Database(settings.database_url.get_secret_value())
        stage = build(services(settings, database), database)
        database.dispose()
        stack.enter_context(_serving(settings))
        yield settings, stage


def _settings(folder: Path, database_url: str) -> Settings:
    """Give the settings of an API that asks no node, and is asked as often as wanted."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    os.environ.update(
        DATA_DIR=str(folder / "data"),
        DATABASE_URL=database_url,
        PORT=str(port),
        LOG_LEVEL="error",
        CHAIN_ID=str(CHAIN_ID),
        RPC_URL="http://127.0.0.1:9",  # nothing that is asked here needs the node
        # Counted as always, and never used up.
        RATE_LIMIT_PRINCIPAL_PER_MINUTE="100000000",
        RATE_LIMIT_ADDRESS_PER_MINUTE="100000000",
    )
    return load_settings()


@contextlib.contextmanager
def _serving(settings: Settings) -> Iterator[None]:
    """Run the API, until it can be asked."""
    server = subprocess.Popen([sys.executable, "-m", "bench.api_server"])
    try:
        ends_at = time.monotonic() + START_SECONDS
        while not _answers(settings.port):
            assert server.poll() is None, "the API has ended"
            assert time.monotonic() < ends_at, "the API does not come up"
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        server.wait()


def _answers(port: int) -> bool:
    # Not only connected: to a port that nobody has yet, a socket may be connected with itself.
    try:
        with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
            return True
    except (OSError, HTTPException):
        return False

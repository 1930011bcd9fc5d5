"""The embedded chain, quick enough to be tested, and who sends to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.embedded.devnet import Devnet
from tests.chain.embedded.usage import (
    SENDER,
    Wallet,
    free_port,
)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def devnet(tmp_path: Path, port: int) -> Iterator[Devnet]:
    """A quick one: looks twenty times a second, and saves at each look that finds something."""
    chain = Devnet(tmp_path, port=port, heartbeat_seconds=0.05, snapshot_seconds=0.05)
    try:
        chain.start()
        chain.fund(SENDER.address, 10**20)
        yield chain
    finally:
        chain.stop()


@pytest.fixture
def wallet(devnet: Devnet) -> Iterator[Wallet]:
    with Wallet(devnet.url) as sender:
        yield sender

"""The places of one race: a chain, a database, an API and a worker that is killed and replaced."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import time
from collections.abc import Iterator
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import LiteralString

import psycopg

from registry.kernel.db import Database
from tests.api.house import House, house_settings, open_house
from tests.chain.nodes import Node
from tests.chaos.contender import Orders, start
from tests.chaos.stage import fund_keys
from tests.race.stage import Stage

FINALITY = 2
BLOCK_SECONDS = 0.25
CLIENT_SECONDS = 20.0
SETTLE_SECONDS = 600.0
QUIET_BLOCKS = 6
"""So many blocks in a row nothing must be on its way, before it is called quiet."""

_numbers = itertools.count(1)

_PENDING: LiteralString = (
    "SELECT count(*) FROM operation WHERE state IN ('planned', 'signed', 'broadcast', 'mined')"
)
_UNDER_WAY: LiteralString = (
    "SELECT count(*) FROM operation WHERE kind = 'mint' AND state IN ('broadcast', 'mined')"
)
_FINAL: LiteralString = "SELECT count(*) FROM operation WHERE kind = 'mint' AND state = 'final'"


class Scene:
    """One race under way."""

    def __init__(
        self, stage: Stage, database: Database, node: Node, house: House, orders: Orders
    ) -> None:
        self.stage = stage
        self.node = node
        self.house = house
        self.database = database
        self._orders = orders
        self._worker: ForkServerProcess | None = None
        self.killed: list[str] = []
        """When the worker was killed."""

    def run_worker(self) -> None:
        self._worker = start(self._orders)

    def kill_worker(self, when: str | None = None) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker.join()
            self._worker = None
        if when is not None:
            self.killed.append(when)

    def settle(self, *, kill: bool) -> None:
        """Mine until nothing is on its way.

        Parameters
        ----------
        kill
            The worker dies while its first mints are under way, and again when half are final.
        """
        quiet, deadline = 0, time.monotonic() + SETTLE_SECONDS
        due = ["with mints under way", "with half of the mints final"] if kill else []
        while quiet < QUIET_BLOCKS:
            assert time.monotonic() < deadline, "the mints do not come to an end"
            self.node.rpc("evm_mine")
            time.sleep(BLOCK_SECONDS)
            if due and self._is_due(due[0]):
                self.kill_worker(due.pop(0))
                self.run_worker()
            quiet = 0 if self._count(_PENDING) else quiet + 1

    def _is_due(self, when: str) -> bool:
        if "under way" in when:
            return self._count(_UNDER_WAY) > 0
        return self.stage.offered <= self._count(_FINAL) * 2 < self.stage.offered * 2

    def _count(self, query: LiteralString) -> int:
        with psycopg.connect(self.database.driver_url) as connection:
            found = connection.execute(query).fetchone()
        assert found is not None
        return int(found[0])


@contextlib.contextmanager
def open_scene(stage: Stage, log: Path) -> Iterator[Scene]:
    """Copy the stage for one race.

    Parameters
    ----------
    log
        Where what the worker says is written.
    """
    name = f"race_{next(_numbers)}"
    folder = stage.folder / name
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stage.server.copy(name, stage.template)
        stack.callback(stage.server.drop, name)
        database = stage.server.database(name)
        stack.callback(database.dispose)
        node = stack.enter_context(Node(folder, state=stage.state))
        fund_keys(node)
        house = stack.enter_context(open_house(house_settings(folder), database))
        orders = Orders(
            database.url, node.url, stage.keys, True, FINALITY, None, log, CLIENT_SECONDS
        )
        scene = Scene(stage, database, node, house, orders)
        stack.callback(scene.kill_worker)
        yield scene

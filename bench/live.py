"""`make bench-live`: from a block on the chain to its events in the API, and in the database.

The API and the sync run as processes of their own, as in production, on an anvil and an embedded
PostgreSQL. BENCH_BLOCKS (200) blocks are mined one by one. For each, the time from the order to
mine it until the API answers with it is held against a bare client in the same run: told of the
block by WebSocket, it fetches the logs by the block's hash and throws them away. Then as many
blocks of 100 events are applied here, from the moment at which they are announced.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from uuid import UUID

import httpx
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from api.auth.tokens import DevelopmentIssuer
from api.program import services
from bench.figures import print_figure
from bench.gas_node import CHAIN_ID
from bench.node_and_register import node_and_register, prepare_emitter
from bench.sync_chain import EMITTER_HOLDERS, Emitter
from bench.timing import percentile
from chain.node.client import ChainClient, hex_of
from chain.node.heads import CLOSE_SECONDS, SUBSCRIBE, announcing
from chain.sync.indexer import Indexer
from registry.kernel import migrate
from registry.kernel.actor import Role
from registry.kernel.db import Database
from registry.kernel.settings import Settings
from tests import sales
from tests.factories import ACTORS, Desk, put_on_panel

BLOCKS = int(os.environ.get("BENCH_BLOCKS", "200"))
PER_BLOCK = 100
PAUSES = (0.02, 0.05, 0.11, 0.07)
"""Seconds between two blocks: the sync is asleep when the next one comes."""
LOOK_SECONDS = 0.01
START_SECONDS = 60.0
COMMIT_LIMIT_MS = 15.0


def main() -> None:
    # It asks as fast as it can.
    with node_and_register(RATE_LIMIT_PRINCIPAL_PER_MINUTE="0") as settings:
        bench = Bench.prepare(settings)
        with bench.program(), Bare.listening(bench) as bare:
            bench.see_blocks(bare)
        bench.apply_blocks()
        bench.database.dispose()


@dataclass(frozen=True, slots=True)
class Bench:
    """A token on a node, and what the registry knows of it."""

    settings: Settings
    client: ChainClient
    database: Database
    emitter: Emitter
    token_id: UUID

    @classmethod
    def prepare(cls, settings: Settings) -> Bench:
        """Deploy the token, and make the registry believe that it is one of its own."""
        assert settings.database_url is not None
        assert settings.rpc_url is not None
        client = ChainClient(settings.rpc_url, CHAIN_ID)
        emitter = Emitter.deploy(client, EMITTER_HOLDERS)
        database = Database(settings.database_url.get_secret_value())
        migrate.upgrade(database)
        made = services(settings, database)
        with database.transaction() as session:
            desk = Desk(session, made.vault, made.store)
            put_on_panel(desk, ACTORS[Role.VALUER])
            tokenization = sales.deployed(desk, sales.wrapped_apartment(desk))
            tokenization.token_address = emitter.token
            token_id = tokenization.id
        # Its proofs ask a registry, in which nobody is registered.
        prepare_emitter(database, client, emitter)
        return cls(settings, client, database, emitter, token_id)

    @contextlib.contextmanager
    def program(self) -> Iterator[None]:
        """Run the API and the sync, each in a process, until the sync is at the head."""
        parts = [
            subprocess.Popen([sys.executable, "-m", "api.cli", part], stderr=subprocess.DEVNULL)
            for part in ("api", "sync")
        ]
        try:
            yield
        finally:
            for part in parts:
                part.terminate()
            for part in parts:
                part.wait()

    def see_blocks(self, bare: Bare) -> None:
        """Mine blocks, and take the time until each is seen in the API, and by the bare client."""
        token = DevelopmentIssuer(self.settings).issue("bench", [Role.AUDITOR], timedelta(hours=2))
        headers = {"Authorization": f"Bearer {token}"}
        path = f"http://{self.settings.host}:{self.settings.port}/v1/tokens/{self.token_id}"
        seen: list[float] = []
        fetched: list[float] = []
        with httpx.Client(headers=headers, trust_env=False) as api:
            _await(partial(_shows, api, path, self.client.block_number()), START_SECONDS)
            for seed in range(BLOCKS):
                time.sleep(PAUSES[seed % len(PAUSES)])
                started = time.perf_counter()
                self.emitter.move(seed, 1)
                number = self.client.block_number()
                _await(partial(_shows, api, path, number), START_SECONDS)
                seen.append((time.perf_counter() - started) * 1000)
                fetched.append((bare.fetched_at(number) - started) * 1000)
        for percent in (50, 99):
            print_figure(
                f"sync.live.visible_p{percent}_ms",
                percentile(seen, percent),
                "ms",
                against="node.head",
                other=percentile(fetched, percent),
            )

    def apply_blocks(self) -> None:
        """Apply blocks of a hundred events, from the moment at which each is announced."""
        indexer, taken = Indexer(self.database, self.client), []
        while indexer.advance():
            pass
        with Bare.listening(self) as bare:
            for seed in range(BLOCKS):
                self.emitter.move(BLOCKS + seed, PER_BLOCK)
                bare.fetched_at(self.client.block_number())
                started = time.perf_counter()
                assert indexer.advance()
                taken.append((time.perf_counter() - started) * 1000)
        for percent in (50, 95):
            print_figure(
                f"sync.live.block_of_100.commit_p{percent}_ms",
                percentile(taken, percent),
                "ms",
                against="target",
                other=COMMIT_LIMIT_MS,
            )


class Bare:
    """A client that is told of blocks and fetches their logs, and does nothing with them."""

    def __init__(self, bench: Bench) -> None:
        self._client = ChainClient(bench.client.rpc_url, CHAIN_ID)
        self._token = bench.emitter.token
        self._fetched: dict[int, float] = {}
        self._more = threading.Condition()
        (url,) = announcing(bench.client.rpc_url, None)
        self._socket = connect(url, compression=None, close_timeout=CLOSE_SECONDS)
        self._socket.send(SUBSCRIBE)
        self._socket.recv()

    @classmethod
    @contextlib.contextmanager
    def listening(cls, bench: Bench) -> Iterator[Bare]:
        bare = cls(bench)
        thread = threading.Thread(target=bare._listen)
        thread.start()
        try:
            yield bare
        finally:
            bare._socket.close()
            thread.join()

    def _listen(self) -> None:
        while (message := self._next()) is not None:
            head = json.loads(message)["params"]["result"]
            self._client.request(
                "eth_getLogs", {"address": hex_of(self._token), "blockHash": head["hash"]}
            )
            with self._more:
                self._fetched[int(head["number"], 16)] = time.perf_counter()
                self._more.notify_all()

    def _next(self) -> str | bytes | None:
        try:
            return self._socket.recv()
        except ConnectionClosed:
            return None

    def fetched_at(self, number: int) -> float:
        with self._more:
            assert self._more.wait_for(lambda: number in self._fetched, START_SECONDS)
            return self._fetched[number]


def _shows(api: httpx.Client, path: str, number: int) -> bool:
    """Tell whether the API answers as of a block, or a later one."""
    try:
        answer = api.get(path)
    except httpx.TransportError:
        return False
    return answer.is_success and int(answer.json()["as_of_block"]["number"]) >= number


def _await(is_so: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()

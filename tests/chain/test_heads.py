"""Blocks that a node announces: heard at once, lost and heard again, missed without loss."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

from chain import worker
from chain.node import heads
from chain.node.heads import SILENT_BLOCKS, Heads, announcing
from chain.worker import run_sync
from tests.chain.nodes import Node
from tests.chain.suite import Suite, cursor_of, shuffle
from tests.chain.test_worker import eventually
from tests.chain.world import CONFIRMATIONS

pytestmark = pytest.mark.chain

LONG = 60.0
"""Nobody waits so long: whoever comes back earlier was woken."""


class Announcer:
    """A node's WebSocket that says what a test wants."""

    def __init__(self) -> None:
        self.sockets: list[ServerConnection] = []
        self.answer = json.dumps({"jsonrpc": "2.0", "id": 1, "result": "0x1"})
        self.asked: list[str] = []
        self._server: Server = serve(self._handle, "127.0.0.1", 0)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}"

    def _handle(self, socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            self.asked.append(str(socket.recv()))
            # First: once it is answered, a test may speak.
            self.sockets.append(socket)
            socket.send(self.answer)
            for _ in socket:
                pass

    def say(self, message: str | bytes = "{}") -> None:
        self.sockets[-1].send(message)

    def hang_up(self) -> None:
        self.sockets[-1].close()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(heads, "LONGEST_PAUSE_SECONDS", 0.05)


@pytest.fixture
def announcer() -> Iterator[Announcer]:
    found = Announcer()
    yield found
    found.close()


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    found = threading.Event()
    yield found
    found.set()


@contextlib.contextmanager
def listening(
    stop: threading.Event, *urls: str, on_head: Callable[[], None] = lambda: None
) -> Iterator[Heads]:
    found = Heads(urls, stop, on_head)
    try:
        yield found
    finally:
        found.close()


def woken(found: Heads) -> None:
    """Wait, for as long as it takes to be told."""
    started = time.monotonic()
    found.wait(LONG)
    assert time.monotonic() - started < LONG


def has_subscribed(announcer: Announcer, found: Heads, times: int) -> bool:
    return len(announcer.sockets) == times and found.is_live


def has_asked(announcer: Announcer, times: int) -> bool:
    return len(announcer.asked) >= times


def has_come_to(suite: Suite, digest: bytes) -> bool:
    return cursor_of(suite.world.database).hash == digest


@pytest.mark.parametrize(
    ("rpc", "ws", "wanted"),
    [
        ("http://a:8545", None, ["ws://a:8545"]),
        ("https://a/key?x=1", None, ["wss://a/key?x=1"]),
        ("https://a, http://b", None, ["wss://a", "ws://b"]),
        ("https://a", "wss://b/ws,wss://c", ["wss://b/ws", "wss://c"]),
        ("https://a", "off", []),
    ],
)
def test_announcing__of_the_settings__are_web_sockets(
    rpc: str, ws: str | None, wanted: list[str]
) -> None:
    assert announcing(rpc, ws) == wanted


def test_heads__of_a_real_node__are_announced(tmp_path: Path, stop: threading.Event) -> None:
    with Node(tmp_path) as node, listening(stop, *announcing(node.url, None)) as found:
        eventually(lambda: found.is_live)
        found.wait(0.0)
        for _ in range(3):
            node.mine()
            woken(found)


def test_heads__announced__wake_and_tell(announcer: Announcer, stop: threading.Event) -> None:
    told: list[int] = []
    with listening(stop, announcer.url, on_head=lambda: told.append(1)) as found:
        woken(found)  # what came before the subscription is looked for too
        for message in ("{}", "no JSON", b"\xff\x00"):
            announcer.say(message)
            woken(found)
    assert json.loads(announcer.asked[0])["params"] == ["newHeads"]
    assert len(told) >= 4


def test_heads__lost__are_heard_again(announcer: Announcer, stop: threading.Event) -> None:
    with listening(stop, announcer.url) as found:
        for round_ in range(1, 4):
            eventually(partial(has_subscribed, announcer, found, round_))
            found.wait(0.0)
            announcer.say()
            woken(found)
            announcer.hang_up()


def test_heads__node_that_gives_no_subscription__is_polled(
    announcer: Announcer, stop: threading.Event
) -> None:
    for answer in ('{"error": {"code": -32601}}', "[]", "nothing", '{"result": null}'):
        announcer.answer = answer
        with listening(stop, announcer.url) as found:
            wanted = len(announcer.asked) + 2
            eventually(partial(has_asked, announcer, wanted))
            assert not found.is_live


def test_heads__nobody_there__is_polled(stop: threading.Event) -> None:
    with listening(stop, "ws://127.0.0.1:9", "ws:///", "ws://") as found:
        found.wait(0.05)
        assert not found.is_live


def test_heads__blocks_that_nobody_announced__open_it_anew(
    announcer: Announcer, stop: threading.Event
) -> None:
    with listening(stop, announcer.url) as found:
        eventually(lambda: found.is_live)
        found.wait(0.0)
        for _ in range(SILENT_BLOCKS):
            found.wait(0.0)
            found.found()
        found.wait(0.0)
        eventually(lambda: len(announcer.sockets) == 2)


def test_heads__told_to_stop__wait_no_longer(announcer: Announcer, stop: threading.Event) -> None:
    with listening(stop, announcer.url) as found:
        eventually(lambda: found.is_live)
        found.wait(0.0)
        threading.Timer(0.05, stop.set).start()
        woken(found)


@contextlib.contextmanager
def syncing(suite: Suite, url: str) -> Iterator[None]:
    stop = threading.Event()
    thread = threading.Thread(
        target=run_sync,
        args=(suite.world.database, suite.world.client, stop),
        kwargs={"finality": CONFIRMATIONS, "announced_at": [url]},
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_sync__each_block_announced__never_looks_by_itself(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were it not for the announcements, it would not look for a minute."""
    monkeypatch.setattr(worker, "LIVE_POLL_SECONDS", LONG)
    with syncing(suite, announcing(suite.world.node.url, None)[0]):
        for number in range(5):
            suite.mint(number, 10_000)
        for seed in range(4):
            shuffle(suite, seed=seed, blocks=1)
            head = suite.world.client.head()
            eventually(partial(has_come_to, suite, head.hash))
    suite.assert_exact()


def test_sync__announcements_missed__costs_no_data(
    suite: Suite, announcer: Announcer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LIVE_POLL_SECONDS", 0.05)
    with syncing(suite, announcer.url):
        for number in range(5):
            suite.mint(number, 10_000)
        shuffle(suite, seed=3, blocks=4)
        head = suite.world.client.head()
        eventually(partial(has_come_to, suite, head.hash))
    suite.assert_exact()

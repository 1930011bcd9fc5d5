"""One of several nodes that is slow, or sends a byte now and then; and the rate that we keep to."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from eth_account import Account

from chain.errors import RpcUnavailable
from chain.node import asking, pooled_node
from chain.node.client import ChainClient, bytes_of
from chain.node.nodes import NodePool, connect
from chain.node.pooled_node import NodeState, PooledNode
from chain.sync.indexer import Indexer
from tests.chain.mirror import Lie, Mirror
from tests.chain.nodes import CHAIN_ID
from tests.chain.pools import pool, states
from tests.chain.suite import Suite, catch_up

pytestmark = [pytest.mark.chain, pytest.mark.usefixtures("patiently")]

HANGS_SECONDS = 6.0
"""Much more than any of these tests waits for one answer."""


@pytest.fixture(autouse=True)
def overtaking_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "OVERTAKEN_SECONDS", 0.3)


def slow_at(*methods: str) -> Lie:
    def lie(request: dict[str, Any], told: Any) -> Any:
        if request["method"] in methods:
            time.sleep(HANGS_SECONDS)
        return told

    return lie


def seconds_for(ask: Callable[[], object]) -> float:
    before = time.monotonic()
    ask()
    return time.monotonic() - before


def test_pool__one_of_three_is_slow__another_is_asked_and_it_comes_last(
    held: Suite, three: list[Mirror]
) -> None:
    """Honest, and far away: it is neither waited for nor left out."""
    three[0].lie = slow_at("eth_getLogs")
    found = pool(three)

    assert seconds_for(lambda: catch_up(Indexer(held.world.database, found))) < HANGS_SECONDS

    held.assert_exact()
    assert three[0].count("eth_getLogs") == 1
    assert states(found) == [NodeState.HEALTHY] * 3


def test_pool__one_of_three_is_slow_with_receipts__two_are_enough(
    held: Suite, three: list[Mirror]
) -> None:
    truth = held.mint(0, 7)
    three[1].lie = slow_at("eth_getTransactionReceipt")
    found = pool(three)

    def ask() -> None:
        assert found.receipts([truth.tx_hash]) == [truth]

    assert seconds_for(ask) < HANGS_SECONDS / 2


def test_pool__many_questions_to_one_that_hangs__take_no_thread_from_the_others(
    held: Suite, three: list[Mirror]
) -> None:
    three[0].lie = slow_at("eth_call")
    found = pool(three)
    head = found.head()
    wanted = held.world.client.call(held.token, b"\x18\x16\x0d\xdd", block=head.hash)

    with ThreadPoolExecutor(40) as askers:
        asked = [
            askers.submit(found.call, held.token, b"\x18\x16\x0d\xdd", block=head.hash)
            for _ in range(40)
        ]
        assert {answer.result() for answer in asked} == {wanted}

    assert three[0].count("eth_call") <= pooled_node.THREADS_EACH
    assert states(found) == [NodeState.HEALTHY] * 3
    assert found.head() == head


def test_pool__transaction_is_taken_by_one__is_sent_without_the_slow_one(
    held: Suite, three: list[Mirror]
) -> None:
    key = Account.from_key(b"\x07" * 32)
    held.world.node.fund(bytes_of(key.address))
    fields = {"nonce": 0, "to": key.address, "gas": 21_000, "gasPrice": 10**10, "value": 1}
    raw = bytes(key.sign_transaction(fields | {"chainId": CHAIN_ID}).raw_transaction)
    found = pool(three)
    found.head()
    three[2].delay = HANGS_SECONDS

    assert seconds_for(lambda: found.send_raws([raw])) < HANGS_SECONDS / 2
    assert held.world.node.pool_size() == 1


class Trickling:
    """A node that sends a byte of its answer now and then, and never all of it."""

    def __init__(self, head: bytes) -> None:
        self._head = head
        self._server = socket.create_server(("127.0.0.1", 0))
        self._is_over = threading.Event()
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while not self._is_over.is_set():
            connection, _ = self._server.accept()
            threading.Thread(target=self._trickle, args=(connection,), daemon=True).start()

    def _trickle(self, connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(65_536)
                connection.sendall(self._head)
                while not self._is_over.wait(0.05):
                    connection.sendall(b" ")
            except OSError:
                # Whoever asked has had enough.
                return

    def close(self) -> None:
        self._is_over.set()
        with socket.create_connection(self._server.getsockname()):
            self._server.close()


HEADERS = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nX: ", HEADERS])
def test_client__answer_comes_byte_by_byte__ends_when_its_time_is_over(head: bytes) -> None:
    node = Trickling(head)
    client = ChainClient(node.url, CHAIN_ID, timeout_seconds=0.5)

    def ask() -> None:
        with pytest.raises(RpcUnavailable):
            client.head()

    assert seconds_for(ask) < 1.0
    node.close()


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(pooled_node, "time", found)
    monkeypatch.setattr(pooled_node, "FIRST_REST_SECONDS", 2.0)
    return found


def node_of(clock: Clock) -> PooledNode:
    del clock
    return PooledNode(1, "http://node.example", CHAIN_ID, 20.0, None)


def rest_of(node: PooledNode, clock: Clock) -> float:
    """Let a node rest, and come back; how long that was."""
    node.leave_out(NodeState.UNAVAILABLE, "away")
    since = clock.now
    while not node.is_asked:
        clock.now += 1.0
    return clock.now - since


def test_leave_out__many_questions_fail_together__are_one_outage(clock: Clock) -> None:
    node = node_of(clock)
    for _ in range(20):
        node.leave_out(NodeState.UNAVAILABLE, "away")

    clock.now += 2.0
    assert node.is_asked
    assert rest_of(node, clock) == 4.0


def test_leave_out__fails_after_long_questions__rests_ever_longer(clock: Clock) -> None:
    """What it takes to find out is no good time: it has been away all the while."""
    node, rests = node_of(clock), []
    for _ in range(8):
        rests.append(rest_of(node, clock))
        clock.now += 299.0

    assert rests == [2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 120.0, 120.0]
    clock.now += 2.0
    assert rest_of(node, clock) == 2.0, "it has been good for long"


def paced(nodes: list[Mirror], per_second: float) -> NodePool:
    found = connect(",".join(node.url for node in nodes), CHAIN_ID, per_second=per_second)
    assert isinstance(found, NodePool)
    return found


def test_pool__rate_is_kept__heads_are_heard_as_often_as_it_allows(
    held: Suite, three: list[Mirror]
) -> None:
    found = paced(three, per_second=20)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        found.block_number()

    assert three[0].count("eth_getBlockByNumber") <= 1.5 * 20 / 2 + 2
    assert seconds_for(lambda: found.receipts([held.mint(0, 7).tx_hash])) < 1.0


def test_pool__more_receipts_than_the_rate_allows_in_time__are_waited_for(
    held: Suite, three: list[Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our own pace is nothing that a node does."""
    monkeypatch.setattr("chain.node.polling.TIMEOUT_SECONDS", 1.0)
    truth = held.mint(0, 7)
    found = paced(three, per_second=20)

    assert found.receipts([truth.tx_hash] * 60) == [truth] * 60
    assert states(found) == [NodeState.HEALTHY] * 3

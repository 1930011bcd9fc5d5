"""The proxies do exactly the wrong thing that is ordered, once, and nothing otherwise."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from chain.errors import RpcInconsistent, RpcRefused, RpcUnavailable
from chain.node.client import ChainClient
from registry.kernel.postgres_installation import SUPERUSER
from tests.chain.nodes import CHAIN_ID, Node
from tests.chain.world import PLATFORM, Hand
from tests.chaos import faulty_rpc, proxy_postgres, rpc_faults
from tests.chaos.proxy_postgres import Cut, PostgresProxy
from tests.chaos.proxy_rpc import RpcProxy
from tests.chaos.rpc_faults import ESTIMATE, HEAD, NONCE, RECEIPT, SEND, Rpc
from tests.chaos.stage import Stage

pytestmark = pytest.mark.chain

ELSEWHERE = b"\x42" * 20
HEARD = {kind for kind in rpc_faults.OF_SENDS if kind.value.startswith("heard")}


@dataclass
class Behind:
    """A node, and a client that sees it through the proxy."""

    node: Node
    proxy: RpcProxy
    client: ChainClient

    def send(self) -> bytes:
        """Send one transaction through the proxy, whatever is answered."""
        before = self.node.client.send_raw
        sent: list[bytes] = []
        hand = Hand(self.node, PLATFORM)
        # The same signed bytes, another way.
        self.node.client.send_raw = sent.append  # type: ignore[method-assign,assignment]
        try:
            hand.send(ELSEWHERE, b"\x01")
        finally:
            self.node.client.send_raw = before  # type: ignore[method-assign]
        return self.client.send_raw(sent[0])


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[Behind]:
    with Node(tmp_path) as node:
        node.fund(bytes.fromhex(PLATFORM.address[2:]))
        node.mine(5)
        proxy = RpcProxy(node.url, seed=1, silence_seconds=0.3)
        yield Behind(node, proxy, ChainClient(proxy.url, CHAIN_ID, timeout_seconds=0.2))
        proxy.close()


def test_rpc__nothing_ordered__is_the_node_itself(behind: Behind) -> None:
    assert behind.client.block_number() == behind.node.client.block_number()
    assert behind.client.head() == behind.node.client.head()
    behind.send()
    assert behind.node.pool_size() == 1
    assert behind.proxy.met.total() == 0


@pytest.mark.parametrize("kind", rpc_faults.OF_SENDS)
def test_rpc__fault_of_a_send__is_met_once(behind: Behind, kind: Rpc) -> None:
    behind.proxy.order(faulty_rpc.Order(kind, SEND))
    answered = None
    with contextlib.suppress(RpcRefused, RpcUnavailable):
        answered = behind.send()

    is_there = kind in HEARD - {Rpc.DROPPED}
    assert behind.node.pool_size() == int(is_there)
    if kind in {Rpc.DROPPED, Rpc.WRONG_HASH}:
        (known,) = behind.proxy.raws
        assert answered is not None
        assert (answered == bytes.fromhex(known[2:])) == (kind == Rpc.DROPPED)
    else:
        assert answered is None
    assert behind.proxy.met == {kind: 1}
    # A new client: after 429 the old one leaves the node alone for a while.
    replace(behind, client=ChainClient(behind.proxy.url, CHAIN_ID)).send()
    assert behind.proxy.met == {kind: 1}


@pytest.mark.parametrize("kind", rpc_faults.OF_ANYTHING)
def test_rpc__fault_of_anything__is_an_error_of_ours(behind: Behind, kind: Rpc) -> None:
    behind.proxy.order(faulty_rpc.Order(kind))
    with pytest.raises((RpcRefused, RpcUnavailable)):
        behind.client.block_number()
    assert ChainClient(behind.proxy.url, CHAIN_ID).block_number() == 5


def test_rpc__wrong_numbers__are_as_wrong_as_ordered(behind: Behind) -> None:
    behind.node.mined(behind.send())
    address = bytes.fromhex(PLATFORM.address[2:])
    for kind, told in ((Rpc.NONCE_HIGH, 3), (Rpc.NONCE_LOW, 0)):
        behind.proxy.order(faulty_rpc.Order(kind, NONCE, amount=2))
        assert behind.client.nonce(address) == told
    behind.proxy.order(faulty_rpc.Order(Rpc.STALE_HEAD, HEAD, amount=2))
    assert behind.client.nonce_and_height(address) == (1, 4)
    assert behind.client.nonce_and_height(address) == (1, 6)


def test_rpc__estimate_on_an_older_block__does_not_see_what_came_since(behind: Behind) -> None:
    stop = bytes.fromhex("6000600055")
    sender = bytes.fromhex(PLATFORM.address[2:])
    before = behind.client.estimate_gas(ELSEWHERE, b"", sender=sender)
    behind.node.rpc("anvil_setCode", "0x" + ELSEWHERE.hex(), "0x" + stop.hex())
    behind.node.mine()
    now = behind.client.estimate_gas(ELSEWHERE, b"", sender=sender)
    assert now > before
    behind.proxy.order(faulty_rpc.Order(Rpc.STALE_STATE, ESTIMATE, amount=3))
    told = [behind.client.estimate_gas(ELSEWHERE, b"", sender=sender) for _ in range(2)]
    assert told == [before, now]


def test_rpc__receipt_withheld__then_given(behind: Behind) -> None:
    sent = behind.send()
    behind.node.mine()
    behind.proxy.order(faulty_rpc.Order(Rpc.NO_RECEIPT, RECEIPT, skip=1))
    answers = [behind.client.receipts([sent])[0] is None for _ in range(3)]
    assert answers == [False, True, False]


def test_rpc__batches__reordered_is_understood_and_the_others_are_not(behind: Behind) -> None:
    calls = [("eth_blockNumber", ()), ("eth_chainId", ())] * 3
    expected = ["0x5", hex(CHAIN_ID)] * 3
    behind.proxy.order(faulty_rpc.Order(Rpc.REORDERED, batch_only=True))
    assert behind.client.block_number() == 5, "a single call is not meant"
    assert behind.client.batch(calls) == expected
    for kind, error in ((Rpc.MISSING, RpcInconsistent), (Rpc.PARTLY_FAILED, RpcRefused)):
        behind.proxy.order(faulty_rpc.Order(kind, batch_only=True))
        with pytest.raises(error):
            behind.client.batch(calls)
    assert behind.client.batch(calls) == expected


def test_rpc__away__answers_nobody_until_it_is_healed(behind: Behind) -> None:
    behind.proxy.is_away = True
    with pytest.raises(RpcUnavailable):
        behind.client.block_number()
    behind.proxy.heal()
    assert behind.client.block_number() == 5


@pytest.fixture
def server(chaos_stage: Stage) -> Iterator[tuple[PostgresProxy, str]]:
    """A proxy, and the URL of an empty database behind it."""
    chaos_stage.server.run("CREATE DATABASE {}", "proxied")
    proxy = PostgresProxy(chaos_stage.server.socket)
    url = proxy.url("proxied", SUPERUSER).replace("+psycopg", "")
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE fact (number int)")
    yield proxy, url
    proxy.close()
    chaos_stage.server.drop("proxied")


def add_fact(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO fact VALUES (%s)", [7])


@pytest.mark.parametrize(
    ("cut", "happened"),
    [(Cut.STATEMENT, 0), (Cut.COMMIT_UNSENT, 0), (Cut.COMMIT_UNANSWERED, 1)],
)
def test_postgres__cut__has_happened_or_not(
    server: tuple[PostgresProxy, str], cut: Cut, happened: int
) -> None:
    proxy, url = server
    proxy.order(proxy_postgres.Order(cut))
    with pytest.raises(psycopg.OperationalError):
        add_fact(url)
    assert proxy.met == {cut: 1}
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM fact").fetchone() == (happened,)


def test_postgres__cut_after_some__counts_only_what_it_is_about(
    server: tuple[PostgresProxy, str],
) -> None:
    proxy, url = server
    proxy.order(proxy_postgres.Order(Cut.COMMIT_UNSENT, skip=1))
    with psycopg.connect(url) as connection:
        connection.execute("INSERT INTO fact VALUES (1)")
        connection.commit()
        connection.execute("INSERT INTO fact VALUES (2)")
        with pytest.raises(psycopg.OperationalError):
            connection.commit()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT number FROM fact").fetchall() == [(1,)]


def test_postgres__server_killed__its_clients_hear_of_it(
    server: tuple[PostgresProxy, str], chaos_stage: Stage
) -> None:
    _, url = server
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1")
        chaos_stage.server.restart(crash=True)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    psycopg.connect(url).close()


def test_postgres__away__lets_nobody_in_and_cuts_who_is(
    server: tuple[PostgresProxy, str],
) -> None:
    proxy, url = server
    with psycopg.connect(url) as connection:
        connection.execute("SELECT 1")
        proxy.is_away = True
        proxy.cut_all()
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)
    proxy.heal()
    psycopg.connect(url).close()

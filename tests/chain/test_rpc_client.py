"""What a node may answer besides the truth, and what our client makes of it."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from chain.errors import RateLimited, RpcInconsistent, RpcRefused, RpcUnavailable, WrongChain
from chain.node import transport
from chain.node.client import ChainClient

pytestmark = pytest.mark.unit

CHAIN_ID = 31337
HTML = b"<html><body>502 Bad Gateway</body></html>"
CALLS: list[tuple[str, tuple[Any, ...]]] = [("first", ()), ("second", ()), ("third", ())]

Answer = Callable[[Any], Any]
"""From a decoded request, a JSON value or the bytes themselves."""


class FakeNode:
    """A web server that answers as a test wants."""

    def __init__(self) -> None:
        self.answer: Answer = lambda request: result_of(request, "0x1")
        self.status = 200
        self.headers: dict[str, str] = {}
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                found = node.answer(request)
                body = found if isinstance(found, bytes) else json.dumps(found).encode()
                self.send_response(node.status)
                self.send_header("Content-Length", str(len(body)))
                for name, value in node.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.client = ChainClient(f"http://127.0.0.1:{self.server.server_port}", CHAIN_ID)


def result_of(request: dict[str, Any], value: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request["id"], "result": value}


def error_of(request: dict[str, Any], **error: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request["id"], "error": error}


def echo(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answer every call of a batch with its own method's name."""
    return [result_of(request, request["method"]) for request in requests]


@pytest.fixture
def node() -> Iterator[FakeNode]:
    fake = FakeNode()
    thread = threading.Thread(target=fake.server.serve_forever, args=(0.01,))
    thread.start()
    yield fake
    fake.server.shutdown()
    thread.join()
    fake.server.server_close()


@pytest.fixture
def dead() -> ChainClient:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return ChainClient(f"http://127.0.0.1:{port}", CHAIN_ID)


def test_client__nobody_listens__is_unavailable(dead: ChainClient) -> None:
    for call in (dead.head, dead.check, lambda: dead.batch(CALLS)):
        with pytest.raises(RpcUnavailable):
            call()


def test_check__nobody_listens__names_the_setting(dead: ChainClient) -> None:
    with pytest.raises(RpcUnavailable, match="RPC_URL"):
        dead.check()


@pytest.mark.parametrize("url", ["", "localhost:8545", "ws://127.0.0.1:8545", "file:///etc/passwd"])
def test_client__no_web_address__is_unavailable_from_the_start(url: str) -> None:
    with pytest.raises(RpcUnavailable, match="http"):
        ChainClient(url, CHAIN_ID)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, HTML),
        (502, HTML),
        (429, b'{"error": "slow down"}'),
        (200, b""),
        (200, b'{"jsonrpc": "2.0", "id": 1, "resu'),
        (200, b'"a word"'),
        (200, b"[]"),
        (200, b"null"),
        (200, b'{"jsonrpc": "2.0", "id": 0, "error": "slow down"}'),
        (200, b"\xff\xfe\x00"),
    ],
    ids=[
        *("html", "bad gateway", "rate limit", "empty", "cut", "word", "list", "null"),
        *("word for an error", "bytes"),
    ],
)
def test_request__not_json_rpc__is_unavailable(node: FakeNode, status: int, body: bytes) -> None:
    node.status = status
    node.answer = lambda _: body

    with pytest.raises(RpcUnavailable):
        node.client.request("eth_chainId")
    with pytest.raises((RpcUnavailable, RpcInconsistent)):
        node.client.batch(CALLS)


def test_request__compressed_answer__is_read_to_its_end(node: FakeNode) -> None:
    """Its length is that of fewer bytes than it has."""
    said = "0x" + "ab" * 50_000
    node.headers = {"Content-Encoding": "gzip"}
    node.answer = lambda request: gzip.compress(json.dumps(result_of(request, said)).encode())

    assert node.client.request("eth_call") == said


def test_request__answer_is_too_large__is_refused(
    node: FakeNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "ANSWER_BYTES", 1_000)
    node.answer = lambda request: result_of(request, "0x" + "ab" * 1_000)

    with pytest.raises(RpcRefused, match="more than 1000 bytes"):
        node.client.request("eth_call")


@pytest.mark.parametrize(
    ("error", "code", "data"),
    [
        ({"code": 3, "message": "execution reverted", "data": "0x1234"}, 3, "0x1234"),
        ({"code": -32000, "message": "nonce too low"}, -32000, None),
        ({"code": -32603, "message": "boom", "data": {"trace": []}}, -32603, None),
        ({"message": "no code"}, 0, None),
    ],
    ids=["revert", "plain", "structured data", "without code"],
)
def test_request__error_of_the_node__is_refused_with_its_parts(
    node: FakeNode, error: dict[str, Any], code: int, data: str | None
) -> None:
    node.answer = lambda request: error_of(request, **error)

    with pytest.raises(RpcRefused) as refused:
        node.client.request("eth_call")

    assert refused.value.method == "eth_call"
    assert (refused.value.code, refused.value.data) == (code, data)
    assert refused.value.message == error["message"]


def test_check__another_chain__names_both(node: FakeNode) -> None:
    node.answer = lambda request: result_of(request, "0x1")

    with pytest.raises(WrongChain, match="CHAIN_ID is 31337") as wrong:
        node.client.check()

    assert (wrong.value.wanted, wrong.value.served) == (CHAIN_ID, 1)


def test_check__our_chain__is_content(node: FakeNode) -> None:
    node.answer = lambda request: result_of(request, hex(CHAIN_ID))
    node.client.check()


def test_batch__nothing_asked__asks_nothing(dead: ChainClient) -> None:
    assert dead.batch([]) == []


@pytest.mark.parametrize(
    "order",
    [lambda found: found, lambda found: found[::-1], lambda found: [*found[1:], found[0]]],
    ids=["in order", "backwards", "rotated"],
)
def test_batch__any_order__answers_come_in_the_order_of_the_calls(
    node: FakeNode, order: Callable[[list[Any]], list[Any]]
) -> None:
    node.answer = lambda requests: order(echo(requests))
    for _ in range(3):
        assert node.client.batch(CALLS) == ["first", "second", "third"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda found: found[:-1],
        lambda found: found[:0],
        lambda found: [found[0], found[0], found[2]],
        lambda found: [*found, found[0] | {"id": found[-1]["id"] + 1}],
        lambda found: [answer | {"id": answer["id"] + 1_000} for answer in found],
        lambda found: [*found[:-1], found[-1] | {"id": found[0]["id"] + 1_000}],
        lambda found: [*found[:-1], found[-1] | {"id": None}],
        lambda found: [{"result": answer["result"]} for answer in found],
        lambda found: [*found[:-1], "a word"],
    ],
    ids=[
        *("one missing", "none", "twice", "too many", "other ids", "one other id", "no id"),
        *("bare", "no answer"),
    ],
)
def test_batch__answers_of_other_calls__are_not_believed(
    node: FakeNode, damage: Callable[[list[Any]], list[Any]]
) -> None:
    node.answer = lambda requests: damage(echo(requests))
    with pytest.raises((RpcInconsistent, RpcUnavailable)):
        node.client.batch(CALLS)


def test_batch__one_call_refused__names_it(node: FakeNode) -> None:
    def answer(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first, second, third = requests
        return [
            result_of(third, 3),
            error_of(second, code=-32000, message="no"),
            result_of(first, 1),
        ]

    node.answer = answer
    with pytest.raises(RpcRefused) as refused:
        node.client.batch(CALLS)
    assert refused.value.method == "second"


def test_batch__refused_as_a_whole__is_refused(node: FakeNode) -> None:
    node.answer = lambda _: {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32005, "message": "batch too large"},
    }
    with pytest.raises(RpcRefused, match="batch too large"):
        node.client.batch(CALLS)


def test_batch__single_answer_in_the_place_of_many__is_not_believed(node: FakeNode) -> None:
    node.answer = lambda requests: result_of(requests[0], "first")
    with pytest.raises((RpcInconsistent, RpcUnavailable)):
        node.client.batch(CALLS)


def test_send_raws__one_refused__tells_which(node: FakeNode) -> None:
    def answer(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first, second = requests
        assert {request["method"] for request in requests} == {"eth_sendRawTransaction"}
        return [error_of(second, code=-32000, message="nonce too low"), result_of(first, "0x1")]

    node.answer = answer
    taken, refused = node.client.send_raws([b"\x01", b"\x02"])
    assert taken is None
    assert refused is not None
    assert refused.message == "nonce too low"


@pytest.mark.parametrize("how", ["an error", "answers of others", "HTTP 400"])
def test_send_raws__not_taken_together__are_sent_one_by_one(node: FakeNode, how: str) -> None:
    def answer(requests: Any) -> Any:
        if isinstance(requests, list) and how == "an error":
            return {
                "jsonrpc": "2.0",
                "id": None,
                "error": {"code": -32600, "message": "no batches"},
            }
        node.status = 400 if isinstance(requests, list) and how == "HTTP 400" else 200
        if isinstance(requests, list):
            return [result_of(requests[0], "0x01")]
        if requests["params"] == ["0x02"]:
            return error_of(requests, code=-32000, message="nonce too low")
        return result_of(requests, "0x01")

    node.answer = answer
    taken, refused = node.client.send_raws([b"\x01", b"\x02"])
    assert taken is None
    assert refused is not None
    assert refused.message == "nonce too low"


def test_send_raws__one_asked_too_often__the_others_are_known_to_be_taken(node: FakeNode) -> None:
    def answer(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        first, second = requests
        limited = error_of(second, code=-32005, message="too many requests per second")
        return [result_of(first, "0x1"), limited]

    node.answer = answer
    taken, refused = node.client.send_raws([b"\x01", b"\x02"])
    assert taken is None
    assert refused is not None
    assert "too many" in refused.message


def test_send_raws__all_asked_too_often__may_have_arrived(node: FakeNode) -> None:
    node.answer = lambda _: {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": -32005, "message": "too many requests per second"},
    }
    with pytest.raises(RateLimited):
        node.client.send_raws([b"\x01", b"\x02"])


def test_receipts__of_another_transaction__are_not_believed(node: FakeNode) -> None:
    receipt = {
        "transactionHash": "0x" + "11" * 32,
        "blockNumber": "0x1",
        "blockHash": "0x" + "22" * 32,
        "status": "0x1",
        "gasUsed": "0x5208",
        "logs": [],
    }
    node.answer = lambda requests: [result_of(request, receipt) for request in requests]

    (found,) = node.client.receipts([b"\x11" * 32])
    assert found is not None
    assert found.succeeded
    with pytest.raises(RpcInconsistent):
        node.client.receipts([b"\x33" * 32])


def test_client__two_threads__get_their_own_answers(node: FakeNode) -> None:
    node.answer = lambda request: (
        echo(request) if isinstance(request, list) else result_of(request, request["method"])
    )
    wrong: list[Any] = []

    def ask(name: str) -> None:
        for _ in range(30):
            answers = [node.client.request(name), *node.client.batch([(name, ()), (name, ())])]
            wrong.extend(answer for answer in answers if answer != name)

    threads = [threading.Thread(target=ask, args=(f"method{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []

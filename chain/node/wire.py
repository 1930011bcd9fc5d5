"""JSON-RPC answers of a known shape, read from the bytes straight into typed structs.

A range of logs is most of what ever comes from a node. Python's own parser makes a dict of nine
strings of each, which the garbage collector then walks again and again; these structs are neither
(ADR 0029). Names follow the JSON-RPC specification of Ethereum, `execution-apis`.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec
import requests
from requests.adapters import HTTPAdapter
from urllib3 import BaseHTTPResponse, HTTPConnectionPool, Timeout
from urllib3.exceptions import HTTPError

from chain.errors import RpcInconsistent, RpcRefused, RpcUnavailable
from chain.node.limits import http_limit, refusal

Result = TypeVar("Result")


CONNECTIONS = 10
"""Kept open to one node; more are opened while they are needed."""


class WireLog(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One log by itself: every field still in 0x-hex. Most are read by column (`log_table`)."""

    address: str
    topics: list[str]
    data: str
    block_number: str
    block_hash: str
    transaction_hash: str
    log_index: str
    removed: bool = False


class WireHeader(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One block's header as the node wrote it."""

    number: str
    hash: str
    parent_hash: str
    timestamp: str
    gas_limit: str
    logs_bloom: str
    base_fee_per_gas: str | None = None
    transactions: Sequence[str | dict[str, Any]] = ()
    """Hashes, or whole transactions where they were asked for."""


class _Error(msgspec.Struct, frozen=True, gc=False):
    code: int = 0
    message: str = ""
    data: Any = None


class _Answer(msgspec.Struct, Generic[Result], frozen=True, gc=False):
    id: int | str | None = None
    result: Result | None = None
    error: _Error | None = None


_LOGS = msgspec.json.Decoder(_Answer[list[msgspec.Raw]])
_LOG = msgspec.json.Decoder(WireLog)
_HEADERS = msgspec.json.Decoder(list[_Answer[WireHeader]])
_ANY = msgspec.json.Decoder()
_ONE = msgspec.json.Decoder(_Answer[Any])


class _Arriving(io.RawIOBase):
    """What a node sends, while its time lasts: a timeout by itself starts anew with every byte."""

    def __init__(self, sock: socket.socket, sent: io.RawIOBase) -> None:
        self._sock = sock
        self._sent = sent
        self._deadline = time.monotonic() + (sock.gettimeout() or 0.0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer takes too long")
        self._sock.settimeout(left)
        return self._sent.readinto(buffer)

    def close(self) -> None:
        self._sent.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *given: Any, **named: Any) -> None:
        super().__init__(sock, *given, **named)
        sent: io.RawIOBase = self.fp.detach()
        self.fp = io.BufferedReader(_Arriving(sock, sent))


class Wire:
    """Sends bodies to a node and hands back the bytes of its answers, from any thread.

    Parameters
    ----------
    url
        http or https.
    timeout
        Seconds for all of an answer.
    """

    def __init__(self, url: str, timeout: float) -> None:
        self._timeout = timeout
        self._pool, self._path, self._headers = _way_to(url)

    def post(self, method: str, body: bytes, limit: int) -> bytes:
        """Send a body; answers of more than `limit` bytes are not read to their end.

        Raises
        ------
        RpcUnavailable
        RpcRefused
            The answer is larger than `limit`; a narrower question may have a smaller one.
        """
        try:
            # Closes what was not read to its end; a connection that was is free again by itself.
            with self._pool.urlopen(
                "POST",
                self._path,
                body,
                self._headers,
                timeout=Timeout(total=self._timeout),
                # Whether a call may be repeated is the caller's knowledge.
                retries=False,
                redirect=False,
                preload_content=False,
            ) as response:
                if response.status >= http.HTTPStatus.MULTIPLE_CHOICES:
                    raise http_limit(response.status, response.headers) or RpcUnavailable(
                        f"{method}: HTTP {response.status} {response.reason or ''}".rstrip()
                    )
                content = response.read(_most(response, limit), decode_content=True)
        except (HTTPError, OSError, ValueError) as error:
            raise RpcUnavailable(f"{method}: {type(error).__name__}: {error}") from error
        if len(content) > limit:
            raise RpcRefused(method, 0, f"the answer has more than {limit} bytes", None)
        return content


def _most(response: BaseHTTPResponse, limit: int) -> int:
    """Return how much to read: where more is asked for than there is, all of it is copied once."""
    told = response.length_remaining
    is_plain = "Content-Encoding" not in response.headers
    return min(told, limit + 1) if told and is_plain else limit + 1


def _way_to(url: str) -> tuple[HTTPConnectionPool, str, dict[str, str]]:
    """Give the connections to a node, the path there, and the headers of each call.

    The environment is read once: proxies, certificates, a .netrc. `requests` knows how, and by
    itself does so again for each call, which with its own work takes longer than the call.
    """
    with requests.Session() as session:
        given = {"Content-Type": "application/json"}
        call = session.prepare_request(requests.Request("POST", url, headers=given))
        found = session.merge_environment_settings(url, {}, None, None, None)
    adapter = HTTPAdapter(pool_maxsize=CONNECTIONS)
    pool = adapter.get_connection_with_tls_context(
        call, found["verify"], found["proxies"], found["cert"]
    )
    assert isinstance(pool, HTTPConnectionPool), "http and https have pools of this kind"
    pool.ConnectionCls = type("_Connection", (pool.ConnectionCls,), {"response_class": _Response})
    del call.headers["Content-Length"]
    return pool, adapter.request_url(call, found["proxies"]), dict(call.headers)


def encode_call(method: str, *params: Any) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": 0, "method": method, "params": params})


def encode_batch(calls: Sequence[tuple[str, Any]]) -> bytes:
    """Encode calls that are numbered from 0."""
    return msgspec.json.encode(
        [
            {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            for number, (method, params) in enumerate(calls)
        ]
    )


def decode_any(method: str, body: bytes) -> Any:
    """Read an answer of any shape.

    Raises
    ------
    RpcUnavailable
        It is no JSON.
    """
    return _decode(method, _ANY, body)


def decode_logs(body: bytes) -> list[msgspec.Raw]:
    """Take the answer of ``eth_getLogs`` apart into its logs, each as the node wrote it.

    Raises
    ------
    RpcUnavailable
        It is no JSON-RPC.
    RpcRefused
        It is an error.
    RpcInconsistent
        It is something else than a list.
    """
    answer = _decode("eth_getLogs", _LOGS, body)
    logs: list[msgspec.Raw] | None = _result("eth_getLogs", answer)
    if logs is None:
        raise RpcInconsistent("eth_getLogs has no result")
    return logs


def wire_log(written: bytes | msgspec.Raw) -> WireLog:
    """Read one log.

    Raises
    ------
    RpcInconsistent
        It is none, or the node calls it removed.
    """
    entry: WireLog = _decode("eth_getLogs", _LOG, written)
    if entry.removed:
        raise RpcInconsistent("the node returned a log that it calls removed")
    return entry


def decode_headers(body: bytes, count: int) -> list[WireHeader | None]:
    """Read a batch of `count` headers, in the order in which they were asked for.

    Raises
    ------
    RpcUnavailable, RpcRefused, RpcInconsistent
        As `decode_logs`; also inconsistent are answers to other questions than ours.
    """
    method = "eth_getBlockByNumber"
    if not body.lstrip().startswith(b"["):
        _result(method, _decode(method, _ONE, body))
        raise RpcInconsistent(f"{count} calls got one answer")
    answers = _decode(method, _HEADERS, body)
    # Nodes may answer in any order, and some leave answers out.
    found = {answer.id: answer for answer in answers}
    if len(answers) != count or found.keys() != set(range(count)):
        raise RpcInconsistent(f"{count} calls got other answers than theirs")
    return [_result(method, found[number]) for number in range(count)]


def _decode(method: str, decoder: msgspec.json.Decoder[Any], body: bytes | msgspec.Raw) -> Any:
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise RpcInconsistent(f"{method}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RpcUnavailable(f"{method}: the answer is not JSON: {error}") from error


def _result(method: str, answer: _Answer[Any]) -> Any:
    if answer.error is not None:
        data = answer.error.data
        raise refusal(
            method,
            answer.error.code,
            answer.error.message,
            data if isinstance(data, str) else None,
        )
    return answer.result

"""A node's JSON-RPC over real HTTP, with faults where they are ordered.

It knows nothing of what the calls are for: whoever talks to a node can be put behind it.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from eth_utils.crypto import keccak

from tests.chaos.rpc_faults import SEND, Call, Exchange, Reply, Rpc, answer

HOST = "127.0.0.1"
UPSTREAM_SECONDS = 20.0


@dataclass(slots=True)
class Order:
    """A fault that waits for its moment.

    Parameters
    ----------
    method
        Only a request with this call meets it; None: any.
    skip
        So many of them come through before.
    times
        So many meet it then.
    amount
        How wrong a number is.
    """

    kind: Rpc
    method: str | None = None
    skip: int = 0
    times: int = 1
    amount: int = 1
    batch_only: bool = False

    def place_in(self, calls: list[Call], *, is_batch: bool) -> int | None:
        """Give the place of the call that it is about; None where the request is not meant."""
        if self.batch_only and (not is_batch or len(calls) < 2):
            return None
        for place, call in enumerate(calls):
            if self.method in {None, call["method"]}:
                return place
        return None


class RpcProxy:
    """Stands before one node.

    Parameters
    ----------
    upstream
        The node's address.
    seed
        Decides what is left open: which answer of a batch is missing, and so on.
    silence_seconds
        How long it says nothing where an answer never comes: longer than a client waits.
    """

    def __init__(self, upstream: str, *, seed: int, silence_seconds: float) -> None:
        self._upstream = urlsplit(upstream)
        self._dice = random.Random(seed)
        self._silence = silence_seconds
        self._lock = threading.Lock()
        self._orders: list[Order] = []
        self.is_away = False
        """Whether every connection is closed without an answer."""
        self.heard = 0
        """Requests so far."""
        self.met: Counter[Rpc] = Counter()
        self.raws: dict[str, bytes] = {}
        """Every signed transaction that reached it, by hash."""
        self._server = _Server((HOST, 0), _Handler)
        self._server.proxy = self
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def order(self, order: Order) -> None:
        with self._lock:
            self._orders.append(order)

    def heal(self) -> None:
        """Forget every order, and answer."""
        with self._lock:
            self._orders.clear()
        self.is_away = False

    # -- one request -------------------------------------------------------------------------

    def reply(self, body: bytes, upstream: http.client.HTTPConnection) -> Reply:
        self.heard += 1
        if self.is_away:
            return Reply(None)
        asked = json.loads(body)
        calls: list[Call] = asked if isinstance(asked, list) else [asked]
        self._remember(calls)

        def forward() -> bytes:
            return _post(upstream, body)

        def instead(call: Call) -> bytes:
            return _post(upstream, json.dumps(call).encode())

        def control(method: str, params: list[Any]) -> Any:
            call = {"jsonrpc": "2.0", "id": 0, "method": method, "params": params}
            return json.loads(_post(upstream, json.dumps(call).encode())).get("result")

        due = self._due(calls, is_batch=isinstance(asked, list))
        if due is None:
            return Reply(forward())
        order, place = due
        exchange = Exchange(
            calls,
            isinstance(asked, list),
            place,
            order.amount,
            self._silence,
            forward,
            instead,
            control,
        )
        return answer(order.kind, exchange, self._dice)

    def _due(self, calls: list[Call], *, is_batch: bool) -> tuple[Order, int] | None:
        with self._lock:
            for order in self._orders:
                place = order.place_in(calls, is_batch=is_batch)
                if place is None:
                    continue
                if order.skip > 0:
                    order.skip -= 1
                    continue
                order.times -= 1
                if order.times == 0:
                    self._orders.remove(order)
                self.met[order.kind] += 1
                return order, place
        return None

    def _remember(self, calls: list[Call]) -> None:
        for call in calls:
            if call["method"] == SEND:
                raw = bytes.fromhex(call["params"][0].removeprefix("0x"))
                self.raws["0x" + keccak(raw).hex()] = raw

    @contextlib.contextmanager
    def upstream(self) -> Iterator[http.client.HTTPConnection]:
        assert self._upstream.hostname is not None
        connection = http.client.HTTPConnection(
            self._upstream.hostname, self._upstream.port, timeout=UPSTREAM_SECONDS
        )
        try:
            yield connection
        finally:
            connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    proxy: RpcProxy

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients here are killed, and hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        with self.server.proxy.upstream() as self._upstream:
            super().handle()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            reply = self.server.proxy.reply(body, self._upstream)
        except (OSError, http.client.HTTPException):
            reply = Reply(None)
        time.sleep(reply.delay_seconds)
        if reply.body is None:
            self.close_connection = True
            return
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name there)
        """Say nothing."""


def _post(upstream: http.client.HTTPConnection, body: bytes) -> bytes:
    try:
        upstream.request("POST", "/", body, {"Content-Type": "application/json"})
        return upstream.getresponse().read()
    except BaseException:
        upstream.close()
        raise

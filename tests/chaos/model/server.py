"""The model's node over real HTTP, with the faults of the way there."""

from __future__ import annotations

import json
import random
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.chaos.model.node import Node
from tests.chaos.proxy_rpc import HOST, Order
from tests.chaos.rpc_faults import Call, Exchange, Reply, answer


class ModelServer:
    """Serves one node after the other at one address.

    Parameters
    ----------
    silence_seconds
        How long it says nothing where an answer never comes: longer than a client waits.
    """

    def __init__(self, silence_seconds: float) -> None:
        self._silence = silence_seconds
        self._lock = threading.Lock()
        self._dice = random.Random(0)
        self._orders: list[Order] = []
        self._node: Node | None = None
        self.is_away = False
        """Whether every connection is closed without an answer."""
        self.met: list[str] = []
        self.asked = 0
        self._server = _Server((HOST, 0), _Handler)
        self._server.model = self
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

    def serve(self, node: Node, seed: int) -> None:
        self.heal()
        self.met = []
        self.asked = 0
        self._dice = random.Random(f"way {seed}")
        self._node = node

    def order(self, order: Order) -> None:
        with self._lock:
            self._orders.append(order)

    def heal(self) -> None:
        with self._lock:
            self._orders.clear()
        self.is_away = False

    def reply(self, body: bytes) -> Reply:
        if self.is_away or self._node is None:
            return Reply(None)
        node = self._node
        asked = json.loads(body)
        is_batch = isinstance(asked, list)
        several: list[Call] = asked if is_batch else [asked]
        self.asked += 1

        def forward() -> bytes:
            answers = [node.answer(each) for each in several]
            return json.dumps(answers if is_batch else answers[0]).encode()

        def instead(call: Call) -> bytes:
            return json.dumps(node.answer(call)).encode()

        due = self._due(several, is_batch=is_batch)
        if due is None:
            return Reply(forward())
        order, place = due
        exchange = Exchange(
            several,
            is_batch=is_batch,
            hit=place,
            amount=order.amount,
            silence_seconds=self._silence,
            forward=forward,
            instead=instead,
            control=_nothing_else,
        )
        return answer(order.kind, exchange, self._dice)

    def _due(self, several: list[Call], *, is_batch: bool) -> tuple[Order, int] | None:
        with self._lock:
            for order in self._orders:
                place = order.place_in(several, is_batch=is_batch)
                if place is None:
                    continue
                if order.skip > 0:
                    order.skip -= 1
                    continue
                order.times -= 1
                if order.times == 0:
                    self._orders.remove(order)
                self.met.append(order.kind)
                return order, place
        return None


def _nothing_else(method: str, params: list[Any]) -> Any:
    raise AssertionError(f"a reader of the chain has no fault that needs {method} {params}")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    model: ModelServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients here are killed, and hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        reply = self.server.model.reply(self.rfile.read(int(self.headers["Content-Length"])))
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

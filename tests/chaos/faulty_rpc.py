"""A JSON-RPC server over real HTTP, with faults where they are ordered.

It knows nothing of who answers, nor of what the calls are for.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from tests.chaos.rpc_faults import Call, Exchange, Reply, Rpc, answer

HOST = "127.0.0.1"


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


class Answering(Protocol):
    """Who answers what comes in over one connection."""

    def post(self, asked: Any) -> bytes:
        """Answer a call, or a batch of them, as the node would."""

    def control(self, method: str, params: list[Any]) -> Any:
        """Ask the node something else."""


class FaultyRpc(ABC):
    """Serves at one address, and spoils what is ordered.

    Parameters
    ----------
    dice
        Decide what is left open: which answer of a batch is missing, and so on.
    silence_seconds
        How long it says nothing where an answer never comes: longer than a client waits.
    """

    def __init__(self, dice: random.Random, silence_seconds: float) -> None:
        self._dice = dice
        self._silence = silence_seconds
        self._lock = threading.Lock()
        self._orders: list[Order] = []
        self.is_away = False
        """Whether every connection is closed without an answer."""
        self.heard = 0
        """Requests so far."""
        self.met: Counter[Rpc] = Counter()
        self._server = _Server((HOST, 0), _Handler)
        self._server.rpc = self
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

    @abstractmethod
    def connected(self) -> AbstractContextManager[Answering]:
        """Give who answers, for as long as a client is connected."""

    @abstractmethod
    def notice(self, calls: list[Call]) -> None:
        """Take note of what came in, whatever becomes of it."""

    # -- one request -------------------------------------------------------------------------

    def reply(self, body: bytes, who: Answering) -> Reply:
        self.heard += 1
        if self.is_away:
            self.met[Rpc.AWAY] += 1
            return Reply(None)
        asked = json.loads(body)
        is_batch = isinstance(asked, list)
        calls: list[Call] = asked if is_batch else [asked]
        self.notice(calls)
        due = self._due(calls, is_batch=is_batch)
        if due is None:
            return Reply(who.post(asked))
        order, place = due
        exchange = Exchange(
            calls,
            is_batch=is_batch,
            hit=place,
            amount=order.amount,
            silence_seconds=self._silence,
            forward=lambda: who.post(asked),
            instead=who.post,
            control=who.control,
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


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    rpc: FaultyRpc

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: clients here are killed, and hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        with self.server.rpc.connected() as self._who:
            super().handle()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            reply = self.server.rpc.reply(body, self._who)
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

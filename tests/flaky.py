"""Clients on connections that break, who ask again under the same key until they are answered."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any
from urllib.parse import urlsplit

PATIENCE_SECONDS = 120.0
AGAIN_SECONDS = 0.02
_RESET = struct.pack("ii", 1, 0)
"""Closing says RST, and waits for nothing."""


class Break(Enum):
    """Where a connection breaks."""

    CONNECTED = auto()
    """Before anything is said."""
    BODY = auto()
    """In the middle of the body."""
    ANSWER = auto()
    """After the last byte of the request: whether it was carried out, the client cannot know."""
    ANSWER_BEGUN = auto()
    """After the first byte of the answer."""


BREAKS = tuple(Break)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    replayed: bool


@dataclass(frozen=True, slots=True)
class Post:
    """One request, as often as it is sent.

    Parameters
    ----------
    server
        ``http://host:port``.
    headers
        Besides those that every request has.
    """

    server: str
    path: str
    body: Any
    headers: dict[str, str]

    def until_answered(self, breaks: Sequence[Break] = ()) -> Answer:
        """Send it on a connection that breaks, for each of `breaks`, and then until it is answered.

        As a phone does: who is told that the first one still runs asks again a little later.
        """
        for where in breaks:
            self._once(where)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            answer = self._once(None)
            assert answer is not None, "nothing broke it"
            if answer.body.get("code") != "idempotency_in_flight":
                return answer
            time.sleep(AGAIN_SECONDS)
        raise AssertionError(f"{self.path} was not answered")

    def _once(self, where: Break | None) -> Answer | None:
        host = urlsplit(self.server)
        head, body = self._bytes(f"{host.hostname}:{host.port}")
        with socket.create_connection((host.hostname, host.port), PATIENCE_SECONDS) as line:
            if where is not None:
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            if where == Break.CONNECTED:
                return None
            if where == Break.BODY:
                line.sendall(head + body[: len(body) // 2])
                return None
            line.sendall(head + body)
            if where == Break.ANSWER:
                return None
            if where == Break.ANSWER_BEGUN:
                line.recv(1)
                return None
            return _read(line)

    def _bytes(self, host: str) -> tuple[bytes, bytes]:
        body = json.dumps(self.body).encode()
        lines = {
            "Host": host,
            "Connection": "close",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        } | self.headers
        said = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"POST {self.path} HTTP/1.1\r\n{said}\r\n".encode(), body


def _read(line: socket.socket) -> Answer:
    received = b""
    while chunk := line.recv(1 << 16):
        received += chunk
    head, _, body = received.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    return Answer(status, json.loads(body), b"idempotent-replayed: true" in head.lower())

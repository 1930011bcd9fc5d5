"""PostgreSQL's own protocol over TCP, with connections that break where it is ordered.

It reads no more than it must: which messages are statements, and which of them is a COMMIT
(PostgreSQL documentation, 54.7 "Message Formats"). Whoever uses a database can be put behind it.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
import threading
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

HOST = "127.0.0.1"
_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104
_QUERY, _BIND = b"Q", b"B"
CHUNK = 1 << 16


class Cut(StrEnum):
    """Where a connection breaks."""

    STATEMENT = "before a statement"
    COMMIT_UNSENT = "before COMMIT arrives"
    COMMIT_UNANSWERED = "after COMMIT, before its answer"
    ALL = "all connections at once"
    AWAY = "nobody is let in"


@dataclass(slots=True)
class Order:
    """A break that waits for its moment: the one after `skip` others."""

    cut: Cut
    skip: int = 0


ORDERED = (Cut.STATEMENT, Cut.COMMIT_UNSENT, Cut.COMMIT_UNANSWERED)
"""Those that wait for a statement."""


class PostgresProxy:
    """Stands before one server.

    Parameters
    ----------
    socket
        The server's Unix socket.
    """

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._orders: list[Order] = []
        self._lock = threading.Lock()
        self._open: set[_Connection] = set()
        self.is_away = False
        """Whether nobody is let in."""
        self.met: Counter[Cut] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server: asyncio.Server = self._run(asyncio.start_server(self._serve, HOST, 0))
        self.port: int = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def url(self, database: str, user: str) -> str:
        return f"postgresql+psycopg://{user}@{HOST}:{self.port}/{database}?sslmode=disable"

    def order(self, order: Order) -> None:
        with self._lock:
            self._orders.append(order)

    def cut_all(self) -> None:
        """Break every connection."""
        self._run(self._cut_all())

    def heal(self) -> None:
        """Forget every order, and let everybody in."""
        with self._lock:
            self._orders.clear()
        self.is_away = False

    # -- inside the loop ---------------------------------------------------------------------

    def _run(self, what: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result()

    async def _cut_all(self) -> None:
        for connection in list(self._open):
            self.met[Cut.ALL] += 1
            connection.cut()

    async def _end(self) -> None:
        self._server.close()
        await self._cut_all()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_away:
            self.met[Cut.AWAY] += 1
            writer.transport.abort()
            return
        connection = _Connection(self, reader, writer)
        self._open.add(connection)
        # Whoever hangs up in the middle is what this is for.
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await connection.run(self._socket)
        connection.cut()
        self._open.discard(connection)

    def due(self, *, is_commit: bool) -> Cut | None:
        """Give the break that this statement meets."""
        with self._lock:
            for order in self._orders:
                if order.cut != Cut.STATEMENT and not is_commit:
                    continue
                if order.skip > 0:
                    order.skip -= 1
                    continue
                self._orders.remove(order)
                self.met[order.cut] += 1
                return order.cut
        return None


class _Connection:
    def __init__(
        self, proxy: PostgresProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._proxy = proxy
        self._client, self._to_client = reader, writer
        self._to_server: asyncio.StreamWriter | None = None
        self._mute = False

    def cut(self) -> None:
        self._to_client.transport.abort()
        if self._to_server is not None:
            self._to_server.transport.abort()

    async def run(self, socket: Path) -> None:
        startup = await self._startup()
        server, self._to_server = await asyncio.open_unix_connection(str(socket))
        self._to_server.write(startup)
        answers = asyncio.ensure_future(self._pump(server))
        try:
            await self._statements(self._to_server)
        finally:
            answers.cancel()
            await asyncio.gather(answers, return_exceptions=True)

    async def _startup(self) -> bytes:
        """Read the first message, refusing encryption before it."""
        while True:
            head = await self._client.readexactly(8)
            length, code = struct.unpack("!II", head)
            if code not in {_SSL_REQUEST, _GSS_REQUEST}:
                return head + await self._client.readexactly(length - 8)
            self._to_client.write(b"N")

    async def _statements(self, to_server: asyncio.StreamWriter) -> None:
        while True:
            head = await self._client.readexactly(5)
            kind, length = head[:1], int.from_bytes(head[1:], "big")
            body = await self._client.readexactly(length - 4)
            if kind in {_QUERY, _BIND}:
                is_commit = kind == _QUERY and body[:6].upper() == b"COMMIT"
                cut = self._proxy.due(is_commit=is_commit)
                if cut == Cut.COMMIT_UNANSWERED:
                    self._mute = True
                elif cut is not None:
                    return
            to_server.write(head + body)
            await to_server.drain()

    async def _pump(self, server: asyncio.StreamReader) -> None:
        try:
            while data := await server.read(CHUNK):
                if self._mute:
                    # It has happened; nobody is told.
                    break
                self._to_client.write(data)
                await self._to_client.drain()
        finally:
            # Also where the server was killed: who waits for its answer must hear of it.
            self.cut()

"""A limit on what a request may send, whose refusal is a problem like every other."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import too_large

MAX_JSON_BYTES = 8 * 1024 * 1024
"""It is whole in memory, many times as large: the longest list that we take needs three."""

LINGER_BYTES = 1024 * 1024
LINGER_SECONDS = 5
_CLOSE = (b"connection", b"close")


class BodyLimit:
    """Refuses a body by its announced length, or as soon as more has come than is allowed.

    FastAPI's own `max_body_size` answers in plain text, and goes on reading what it refused.

    Parameters
    ----------
    max_bytes
        Of files, and of anything else at most `MAX_JSON_BYTES`.
    by_path
        Paths with a limit of their own.
    """

    def __init__(
        self, app: ASGIApp, max_bytes: int, by_path: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._by_path = by_path or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        max_bytes = self._by_path.get(scope["path"])
        if max_bytes is None:
            is_form = headers.get("content-type", "").lower().startswith("multipart/")
            max_bytes = self._max_bytes if is_form else min(self._max_bytes, MAX_JSON_BYTES)
        exchange = _Exchange(headers, receive, send, max_bytes)
        app = too_large(scope["path"]) if exchange.announced_too_much else self._app
        await app(scope, exchange.receive, exchange.send)


class _Exchange:
    """One body on its way in, and the answer to it on its way out.

    An answer may come before the end of a body that is long, or has no end in sight. Then the
    connection is closed after it, or the server would read the rest for nothing.
    """

    def __init__(self, headers: Headers, receive: Receive, send: Send, max_bytes: int) -> None:
        announced = headers.get("content-length", "0")
        # The server lets only digits through; how many, it does not limit.
        self.announced_too_much = len(announced) > len(str(max_bytes)) or int(announced) > max_bytes
        self._is_long = (
            self.announced_too_much
            or "transfer-encoding" in headers
            or int(announced) > LINGER_BYTES
        )
        # It waits for our word before it sends anything: nothing is on its way.
        self._waits = "expect" in headers
        self._receive, self._send, self._max_bytes = receive, send, max_bytes
        self._received = 0
        self._ended = self._closing = False

    async def receive(self) -> Message:
        """Take the next piece of the body.

        Raises
        ------
        HTTPException
            413: it is one too many.
        """
        message = await self._next()
        if self._received > self._max_bytes:
            raise HTTPException(413)
        return message

    async def send(self, message: Message) -> None:
        """Pass the answer on, and see the body off when it is complete."""
        if message["type"] == "http.response.start":
            self._closing = self._is_long and not self._ended
            if self._closing:
                message = {**message, "headers": [*message.get("headers", ()), _CLOSE]}
        elif self._closing and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._linger()
            message = {"type": "http.response.body"}
        await self._send(message)

    async def _linger(self) -> None:
        """Read a little more: closed at once, the connection would take the answer with it."""
        if self._waits:
            return
        enough = self._received + LINGER_BYTES
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._ended and self._received < enough:
                    await self._next()
        except TimeoutError:
            return  # whoever sends this slowly has had the time to read the answer

    async def _next(self) -> Message:
        message = await self._receive()
        self._waits = False
        self._received += len(message.get("body", b""))
        self._ended = not message.get("more_body", False)
        return message

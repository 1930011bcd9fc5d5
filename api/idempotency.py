"""Idempotency-Key on every mutation: the same request twice has one effect and one answer.

The answer is stored in the transaction of its effect. Reading the key is a dependency (it needs
the caller and the session); storing is the route's own work, since only the route sees the
answer before the transaction ends.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect
from starlette.types import Message

from api.deps import ActorDep, SessionDep
from api.handlers import PlainRoute
from registry.idempotency import service as idempotency
from registry.idempotency.models import StoredAnswer
from registry.kernel.messages import spoken

KEPT_HEADERS = ("location", "content-type", "etag")


class AlreadyAnswered(Exception):
    """The request was carried out before; this is what was answered."""

    def __init__(self, stored: StoredAnswer) -> None:
        super().__init__("already answered")
        self.response = Response(
            stored.body,
            stored.status,
            headers=json.loads(stored.headers) | {"Idempotent-Replayed": "true"},
        )


def keep_instead(request: Request, answer: BaseModel) -> None:
    """Keep this for a repeated request, where the answer itself holds what is kept nowhere."""
    request.state.kept_body = answer.model_dump_json().encode()


class HashedBody:
    """A request's body, hashed as it streams by: a large paper is never whole in memory.

    What it asks for is its path and its query besides, so that these are hashed first.
    The boundary of a multipart body is left out: clients choose it anew for each try.

    Parameters
    ----------
    request
        Whose body nobody has read yet; from now on it is read through `receive`.
    """

    def __init__(self, request: Request) -> None:
        self._receive = request.receive
        # One without a query is hashed as ever: its answers may have been kept for long.
        asked = f"?{query}" if (query := request.url.query) else ""
        self._digest = hashlib.sha256(f"{request.method} {request.url.path}{asked}\n".encode())
        _, options = parse_options_header(request.headers.get("content-type"))
        self._boundary = options.get(b"boundary", b"")
        self._tail = b""
        self._ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._take(message.get("body", b""))
            self._ended = not message.get("more_body", False)
        return message

    async def hash(self) -> bytes:
        """Read what nobody else has, and return the hash of all.

        Raises
        ------
        ClientDisconnect
        """
        while not self._ended:
            if (await self.receive())["type"] == "http.disconnect":
                raise ClientDisconnect
        self._digest.update(self._tail)
        self._tail = b""
        return self._digest.digest()

    def _take(self, chunk: bytes) -> None:
        if not self._boundary:
            self._digest.update(chunk)
            return
        *pieces, rest = (self._tail + chunk).split(self._boundary)
        for piece in pieces:
            self._digest.update(piece)
        # The rest may end in the beginning of a boundary.
        safe = max(0, len(rest) - len(self._boundary) + 1)
        self._digest.update(rest[:safe])
        self._tail = rest[safe:]


async def _request_hash(request: Request) -> bytes:
    if "idempotency-key" not in request.headers:
        return b""  # nothing to remember
    body: HashedBody = request.state.hashed_body
    return await body.hash()


def claim_key(
    request: Request,
    session: SessionDep,
    actor: ActorDep,
    request_hash: Annotated[bytes, Depends(_request_hash)],
    idempotency_key: Annotated[
        str | None,
        Header(description="Names this mutation; repeat it with the same key to be safe."),
    ] = None,
) -> None:
    """Claim the key for this request, or answer what was answered before."""
    if idempotency_key is None:
        return
    stored = idempotency.claim(session, actor.subject, idempotency_key, request_hash)
    if stored is not None:
        raise AlreadyAnswered(stored)
    request.state.claimed = (actor.subject, idempotency_key, request_hash)


class IdempotentRoute(PlainRoute):
    """Stores the answer of a mutation under its key, inside its own transaction."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_once(request: Request) -> Response:
            if "idempotency-key" in request.headers:
                request.state.hashed_body = body = HashedBody(request)
                request = Request(request.scope, body.receive)
            try:
                response = await answer(request)
            except AlreadyAnswered as before:
                return before.response
            claimed = getattr(request.state, "claimed", None)
            if claimed is not None:
                principal, key, request_hash = claimed
                kept = {
                    name: response.headers[name]
                    for name in KEPT_HEADERS
                    if name in response.headers
                }
                # A repeated request gets these very words, whatever it asks for.
                kept["content-language"] = spoken().value
                await run_in_threadpool(
                    idempotency.store,
                    request.state.session,
                    StoredAnswer(
                        principal=principal,
                        key=key,
                        request_hash=request_hash,
                        status=response.status_code,
                        headers=json.dumps(kept),
                        body=getattr(request.state, "kept_body", bytes(response.body)),
                    ),
                )
            return response

        return answer_once


IDEMPOTENT = [Depends(claim_key)]

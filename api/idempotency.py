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
from fastapi.routing import APIRoute

from api.deps import ActorDep, SessionDep
from registry.idempotency import service as idempotency
from registry.idempotency.models import StoredAnswer

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


async def _request_hash(request: Request) -> bytes:
    if "idempotency-key" not in request.headers:
        return b""  # nothing to remember; a form's body is consumed by now
    digest = hashlib.sha256(f"{request.method} {request.url.path}\n".encode())
    digest.update(_stable(await request.body(), request.headers.get("content-type", "")))
    return digest.digest()


def _stable(body: bytes, content_type: str) -> bytes:
    """Take out of a multipart body the boundary, which clients choose anew for each try."""
    _, _, boundary = content_type.partition("boundary=")
    return body.replace(boundary.strip('"').encode(), b"") if boundary else body


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


class IdempotentRoute(APIRoute):
    """Stores the answer of a mutation under its key, inside its own transaction."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def answer_once(request: Request) -> Response:
            if "idempotency-key" in request.headers:
                await request.body()  # kept by the request, so that a form can be read after it
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
                await run_in_threadpool(
                    idempotency.store,
                    request.state.session,
                    StoredAnswer(
                        principal=principal,
                        key=key,
                        request_hash=request_hash,
                        status=response.status_code,
                        headers=json.dumps(kept),
                        body=bytes(response.body),
                    ),
                )
            return response

        return answer_once


IDEMPOTENT = [Depends(claim_key)]

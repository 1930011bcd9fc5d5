"""Server-sent events: how long a stream lasts, and the id after which it goes on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Annotated, Any, Generic

from fastapi import Header
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.live import Live, What, Where

HEARTBEAT_SECONDS = 15.0
LONGEST_SECONDS = 900.0
"""Then the stream ends, and whoever still may read it comes back with its last id."""
LAST_WORD_SECONDS = 1.0
APART_SECONDS = 1.0
"""How often a stream looks that stays where it is although what it follows has moved on."""
RETRY_MS = 1000

LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", max_length=100, description="Id of the last event you had"),
]


class TimedResponse(StreamingResponse):
    """A stream that ends in time, also where its reader has stopped reading.

    Parameters
    ----------
    place
        Taken before the answer begins, while a refusal can still be told, and held till it ends;
        given to a newer stream, it ends this one.
    """

    media_type = "text/event-stream"

    def __init__(
        self, place: AbstractAsyncContextManager[None, bool | None], events: AsyncIterator[bytes]
    ) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store"})
        self._place = place
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._place:
            await super().__call__(scope, receive, send)
            return
        # Whoever still reads is told that it ends; nobody waits for who does not.
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(LAST_WORD_SECONDS):
                if self._begun:
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def stream_response(self, send: Send) -> None:
        self._begun = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LONGEST_SECONDS + HEARTBEAT_SECONDS):
                await super().stream_response(send)


def stream_of(description: str) -> dict[int | str, dict[str, Any]]:
    """Describe a route that answers with a stream."""
    content = {"text/event-stream": {"schema": {"type": "string"}}}
    return {200: {"description": description, "content": content}}


@dataclass(frozen=True, slots=True)
class Look(Generic[Where]):
    """What one look at the database has found.

    Parameters
    ----------
    place
        Up to where everything stands in `events`.
    events
        As they are written to the stream.
    more
        Whether there is more to read at once.
    is_last
        Whether the stream ends after these events.
    is_apart
        Whether it is not told by what it follows when there is more: that may stand elsewhere for
        hours, while the place stays.
    """

    place: Where
    events: Iterable[bytes]
    more: bool
    is_last: bool = False
    is_apart: bool = False


async def follow(
    live: Live[What, Where],
    what: What,
    turns: asyncio.Semaphore,
    place: Where,
    *,
    look: Callable[[Where], Look[Where]],
    position: Callable[[Where], bytes],
) -> AsyncIterator[bytes]:
    """Give events from a place on; between two looks nothing is held but the place.

    Parameters
    ----------
    turns
        So many streams look at one moment.
    position
        Says where the stream is: the beginning, and a sign of life that moves the reader's id on.
    """
    clock = asyncio.get_running_loop().time
    end = clock() + LONGEST_SECONDS
    yield position(place)
    said = clock()
    while clock() < end:
        async with turns:
            found = await run_in_threadpool(look, place)
        place = found.place
        for event in found.events:
            yield event
            said = clock()
        if found.is_last:
            return
        left = max(said + HEARTBEAT_SECONDS - clock(), 0)
        if found.is_apart:
            await asyncio.sleep(min(APART_SECONDS, left))
        elif not found.more:
            await live.moved_from(what, place, left)
        if clock() >= said + HEARTBEAT_SECONDS:
            yield position(place)
            said = clock()

"""/v1/tokens/{token_id}/events: the cap table as it moves, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import format_sse_event

from api.deps import FinalityDep, ReadSessionDep, Services, ServicesDep
from api.live import Live
from api.routes.router import resource_router
from api.schemas.common import hash_of
from api.schemas.events import BlockEvent, PositionEvent, RolledBackEvent
from api.sse import HEARTBEAT_SECONDS, LONGEST_SECONDS, RETRY_MS, LastEventId, TimedResponse
from api.token_at import WhichDep, find_named, needed_on
from registry.captable.feed import BlockAdded, Feed, Place, Told, begin, check_place, read_feed
from registry.captable.models import Token

router = resource_router("events")

_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `position`, `block` and `rolled_back`, each with its id",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@dataclass(frozen=True, slots=True)
class Stream:
    """One reader of one token."""

    live: Live[int, Place]
    turns: asyncio.Semaphore
    services: Services
    token: Token
    needed: int

    async def events(self, place: Place) -> AsyncIterator[bytes]:
        """Give events from a place on; between two of them nothing is held but the place."""
        clock = asyncio.get_running_loop().time
        end = clock() + LONGEST_SECONDS
        chain_id = self.token.chain_id
        async with self.live.stream(chain_id):
            yield _position(place)
            said = clock()
            while clock() < end:
                async with self.turns:
                    feed, needed = await run_in_threadpool(self._read, place)
                place = feed.place
                for told in feed.news:
                    yield _written(told, needed)
                    said = clock()
                if not feed.more:
                    left = said + HEARTBEAT_SECONDS - clock()
                    await self.live.moved_from(chain_id, place, max(left, 0))
                if clock() >= said + HEARTBEAT_SECONDS:
                    yield _position(place)
                    said = clock()

    def _read(self, place: Place) -> tuple[Feed, int]:
        with self.services.database.reading() as session:
            needed = needed_on(session, self.services, self.token.chain_id, self.needed)
            return read_feed(session, self.token, place), needed


def _written(told: Told, needed: int) -> bytes:
    said: BlockEvent | RolledBackEvent
    if isinstance(told.news, BlockAdded):
        kind, said = "block", BlockEvent.of(told.news, needed)
    else:
        kind, said = "rolled_back", RolledBackEvent.of(told.news)
    return format_sse_event(event=kind, data_str=said.model_dump_json(), id=str(told.place))


def _position(place: Place) -> bytes:
    """Say where the stream is: the beginning, and a sign of life that moves the reader's id on."""
    said = PositionEvent(number=place.number, hash=hash_of(place.hash))
    return format_sse_event(
        event="position", data_str=said.model_dump_json(), id=str(place), retry=RETRY_MS
    )


@router.get("/tokens/{token_id}/events", response_class=Response, responses=_STREAM)
def stream_events(
    which: WhichDep,
    request: Request,
    needed: FinalityDep,
    session: ReadSessionDep,
    services: ServicesDep,
    last_event_id: LastEventId = None,
) -> TimedResponse:
    """Follow a token: each block that concerns it, and each that a reorg takes back."""
    state = request.app.state
    state.live.check_room()
    token = find_named(session, which)
    place = Place.parse(last_event_id) if last_event_id else begin(session, token.chain_id)
    check_place(session, token, place)
    stream = Stream(state.live, state.turns, services, token, needed)
    return TimedResponse(stream.events(place), headers={"Cache-Control": "no-store"})

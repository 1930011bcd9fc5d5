"""/v1/me/events and /v1/events: what happened to the caller, as a list and as it happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import format_sse_event

from api.deps import ActorDep, ReadSessionDep, Services, ServicesDep
from api.live import NOTICES, Live
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.common import Page
from api.schemas.notices import NoticeRead
from api.sse import HEARTBEAT_SECONDS, LONGEST_SECONDS, RETRY_MS, LastEventId, TimedResponse
from registry.kernel.messages import Language, spoken
from registry.notice import service as notices
from registry.notice.models import Notice

router = resource_router("notices")

READ_AT_ONCE = 100
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "Events `position` and those of your notices' kinds, each with its id",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


@router.get("/me/events")
def list_my_events(session: ReadSessionDep, actor: ActorDep, paging: PagingDep) -> Page[NoticeRead]:
    """List what happened to your orders, money, wallets and holdings, oldest first."""
    after = int(paging.after) if paging.after else None
    rows = notices.list_notices(session, actor.person, after=after, limit=paging.fetch)
    return paging.page(rows, lambda row: str(row.seq), NoticeRead.of)


@dataclass(frozen=True, slots=True)
class Stream:
    """One reader of their own notices."""

    live: Live[str, int]
    turns: asyncio.Semaphore
    services: Services
    principal: str
    language: Language

    async def events(self, place: int) -> AsyncIterator[bytes]:
        """Give notices from a place on; between two of them nothing is held but the place."""
        clock = asyncio.get_running_loop().time
        end = clock() + LONGEST_SECONDS
        async with self.live.stream(NOTICES):
            yield _position(place)
            said = clock()
            while clock() < end:
                async with self.turns:
                    newest, rows = await run_in_threadpool(self._read, place)
                for row in rows:
                    yield self._written(row)
                    said = clock()
                more = len(rows) == READ_AT_ONCE
                place = rows[-1].seq or place if more else newest
                if not more:
                    left = said + HEARTBEAT_SECONDS - clock()
                    await self.live.moved_from(NOTICES, place, max(left, 0))
                if clock() >= said + HEARTBEAT_SECONDS:
                    yield _position(place)
                    said = clock()

    def _read(self, place: int) -> tuple[int, Sequence[Notice]]:
        # Both of one snapshot: what is published after it has a higher place.
        with self.services.database.reading() as session:
            rows = notices.list_notices(session, self.principal, after=place, limit=READ_AT_ONCE)
            return max(notices.newest(session), place), rows

    def _written(self, row: Notice) -> bytes:
        said = NoticeRead.of(row, self.language)
        return format_sse_event(event=row.kind, data_str=said.model_dump_json(), id=str(row.seq))


def _position(place: int) -> bytes:
    """Say where the stream is: the beginning, and a sign of life that moves the reader's id on."""
    said = json.dumps({"seq": str(place)})
    return format_sse_event(event="position", data_str=said, id=str(place), retry=RETRY_MS)


@router.get("/events", response_class=Response, responses=_STREAM)
def stream_my_events(
    request: Request,
    session: ReadSessionDep,
    actor: ActorDep,
    services: ServicesDep,
    last_event_id: LastEventId = None,
) -> TimedResponse:
    """Follow what happens to your orders, money, wallets and holdings; resumes after any event."""
    state = request.app.state
    state.notices.check_room()
    newest = notices.newest(session)
    place = notices.read_place(session, last_event_id) if last_event_id else newest
    stream = Stream(state.notices, state.turns, services, actor.person, spoken())
    return TimedResponse(stream.events(place), headers={"Cache-Control": "no-store"})

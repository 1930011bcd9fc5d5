"""/v1/me/events and /v1/events: what happened to the caller, as a list and as it happens."""

from __future__ import annotations

import json
from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.sse import format_sse_event

from api.deps import ActorDep, ReadSessionDep, Services, ServicesDep
from api.live import NOTICES
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.common import Page
from api.schemas.notices import NoticeRead
from api.sse import RETRY_MS, LastEventId, Look, TimedResponse, follow, stream_of
from registry.kernel.messages import Language, spoken
from registry.notice import service as notices
from registry.notice.models import Notice

router = resource_router("notices")

READ_AT_ONCE = 100
_STREAM = stream_of("Events `position` and those of your notices' kinds, each with its id")


@router.get("/me/events")
def list_my_events(session: ReadSessionDep, actor: ActorDep, paging: PagingDep) -> Page[NoticeRead]:
    """List what happened to your orders, money, wallets and holdings, oldest first."""
    after = int(paging.after) if paging.after else None
    rows = notices.list_notices(session, actor.person, after=after, limit=paging.fetch)
    return paging.page(rows, lambda row: str(row.seq), NoticeRead.of)


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader of their own notices."""

    services: Services
    principal: str
    language: Language

    def look(self, place: int) -> Look[int]:
        # Both of one snapshot: what is published after it has a higher place.
        with self.services.database.reading() as session:
            rows = notices.list_notices(session, self.principal, after=place, limit=READ_AT_ONCE)
            newest = max(notices.newest(session), place)
        more = len(rows) == READ_AT_ONCE
        reached = rows[-1].seq or place if more else newest
        return Look(reached, map(self._written, rows), more)

    def _written(self, row: Notice) -> bytes:
        said = NoticeRead.of(row, self.language)
        return format_sse_event(event=row.kind, data_str=said.model_dump_json(), id=str(row.seq))


def _position(place: int) -> bytes:
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
    newest = notices.newest(session)
    place = notices.read_place(session, last_event_id) if last_event_id else newest
    reader = Reader(services, actor.person, spoken())
    events = follow(
        state.notices, NOTICES, state.turns, place, look=reader.look, position=_position
    )
    return TimedResponse(state.notices.stream(NOTICES, actor.subject), events)

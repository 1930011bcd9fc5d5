"""/v1/tokens/{token_id}/events: the cap table as it moves, as server-sent events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from fastapi import Request, Response
from fastapi.sse import format_sse_event

from api.deps import ActorDep, FinalityDep, ReadSessionDep, Services, ServicesDep
from api.routes.router import resource_router
from api.schemas.common import hash_of
from api.schemas.events import BlockEvent, PositionEvent, ReadAnewEvent, RolledBackEvent
from api.sse import RETRY_MS, LastEventId, Look, TimedResponse, follow, stream_of
from api.token_at import WhichDep, find_named, needed_on
from registry.captable.feed import BlockAdded, Feed, Place, begin, check_place, read_feed
from registry.captable.models import Token

router = resource_router("events")

_STREAM = stream_of("Events `position`, `block`, `rolled_back`, `read_anew`, each with its id")


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader of one token."""

    services: Services
    token: Token
    needed: int

    def look(self, place: Place) -> Look[Place]:
        with self.services.database.reading() as session:
            needed = needed_on(session, self.services, self.token.chain_id, self.needed)
            feed = read_feed(session, self.token, place)
        events = _written(feed, needed)
        return Look(feed.place, events, feed.more, is_last=feed.is_void, is_apart=feed.is_apart)


def _written(feed: Feed, needed: int) -> Iterator[bytes]:
    said: BlockEvent | RolledBackEvent
    for told in feed.news:
        if isinstance(told.news, BlockAdded):
            kind, said = "block", BlockEvent.of(told.news, needed)
        else:
            kind, said = "rolled_back", RolledBackEvent.of(told.news)
        yield format_sse_event(event=kind, data_str=said.model_dump_json(), id=str(told.place))
    if feed.is_void:
        anew = ReadAnewEvent(number=feed.place.number, hash=hash_of(feed.place.hash))
        yield format_sse_event(
            event="read_anew", data_str=anew.model_dump_json(), id=str(feed.place)
        )


def _position(place: Place) -> bytes:
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
    actor: ActorDep,
    services: ServicesDep,
    last_event_id: LastEventId = None,
) -> TimedResponse:
    """Follow a token: each block that concerns it, and each that a reorg takes back.

    Where the token was read again, `read_anew` says that what was told may be wrong, and ends it.
    """
    state = request.app.state
    token = find_named(session, which)
    place = Place.parse(last_event_id) if last_event_id else begin(session, token)
    check_place(session, token, place)
    reader = Reader(services, token, needed)
    events = follow(
        state.live, token.chain_id, state.turns, place, look=reader.look, position=_position
    )
    return TimedResponse(state.live.stream(token.chain_id, actor.subject), events)

"""Who waits for something to move on: one look for all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

import structlog
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from registry.captable.feed import Place
from registry.captable.models import SyncCursor
from registry.kernel.db import Database
from registry.kernel.errors import Unavailable
from registry.notice.service import newest

log = structlog.get_logger()

LOOK_SECONDS = 0.1
MOST_STREAMS = 500
"""That one process serves at once; each costs a socket and a few kilobytes."""
MOST_OF_ONE = 10
"""Of them, that one caller has, a person or an API key: every device, and lines that were lost."""


What = TypeVar("What", bound=Hashable)
Where = TypeVar("Where")


class Live(Generic[What, Where]):
    """Tells when what streams follow has moved: the cursor of a chain, the newest notice.

    While anybody waits, one task looks at all that they follow; a stream itself holds no
    connection to the database, however slowly its reader reads.

    Parameters
    ----------
    read
        Gives where each of the things followed stands now.
    """

    def __init__(self, read: Callable[[Sequence[What]], Mapping[What, Where]]) -> None:
        self._read = read
        self._places: dict[What, Where] = {}
        self._moved = asyncio.Condition()
        self._streams: Counter[What] = Counter()
        self._ends: defaultdict[str, list[asyncio.Timeout]] = defaultdict(list)
        """Of each caller's streams that have a place, oldest first."""
        self._looking: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def stream(self, what: What, caller: str) -> AsyncIterator[None]:
        """Count a stream of somebody while it lasts; another may have to end for it.

        Who hears that theirs has ended comes back with the last id.

        Raises
        ------
        Unavailable
            ``too_many_streams``.
        """
        self._make_room(caller)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as end:
                self._enter(what, caller, end)
                try:
                    yield
                finally:
                    self._leave(what, caller, end)

    def _make_room(self, caller: str) -> None:
        """Have one stream end where the caller, or the process, has as many as there may be.

        Of the caller it is the oldest: its line may have been lost without a word, so that nobody
        hears it. Where the process is full it is the newest of whoever has most, if they keep no
        fewer than the caller then has: some with ten each shut nobody out, and no two callers
        take the same place from each other without an end.
        """
        mine = self._ends.get(caller, [])
        if len(mine) >= MOST_OF_ONE:
            _end(mine.pop(0))
            return
        if sum(map(len, self._ends.values())) < MOST_STREAMS:
            return
        most = max(self._ends.values(), key=len, default=[])
        if len(most) - 1 < len(mine) + 1:
            raise Unavailable(
                "too_many_streams", "All streams of this process are taken; try again soon."
            )
        _end(most.pop())

    def _enter(self, what: What, caller: str, end: asyncio.Timeout) -> None:
        self._ends[caller].append(end)
        self._streams[what] += 1
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())

    def _leave(self, what: What, caller: str, end: asyncio.Timeout) -> None:
        self._streams[what] -= 1
        if not self._streams[what]:
            del self._streams[what]
            # What is known of a thing that nobody looks at grows old.
            self._places.pop(what, None)
        if end in self._ends[caller]:  # otherwise a newer one has its place
            self._ends[caller].remove(end)
        if not self._ends[caller]:
            del self._ends[caller]
        if not self._streams and self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def moved_from(self, what: What, place: Where, seconds: float) -> bool:
        """Wait until it stands elsewhere, but not for ever; tell whether it does."""
        if self._stands_elsewhere(what, place):
            # Known from before the place was read, it may: whoever asks at once asks for nothing.
            await asyncio.sleep(LOOK_SECONDS)
            return True
        async with self._moved:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    self._moved.wait_for(lambda: self._stands_elsewhere(what, place)), seconds
                )
                return True
        return False

    def _stands_elsewhere(self, what: What, place: Where) -> bool:
        return self._places.get(what, place) != place

    async def _look(self) -> None:
        while True:
            try:
                places = await run_in_threadpool(self._read, list(self._streams))
            except SQLAlchemyError as fault:  # also a pool that has no connection left
                log.warning("stream_waits", reason=str(fault))
                # What is not known moves nobody: nor does it wear the database out.
                self._places = {}
            else:
                if places != self._places:
                    async with self._moved:
                        self._places = dict(places)
                        self._moved.notify_all()
            await asyncio.sleep(LOOK_SECONDS)


def _end(stream: asyncio.Timeout) -> None:
    stream.reschedule(asyncio.get_running_loop().time())


def cursors_of(database: Database) -> Callable[[Sequence[int]], Mapping[int, Place]]:
    """Give what reads how far chains are projected."""

    def read(chains: Sequence[int]) -> Mapping[int, Place]:
        query = select(SyncCursor).where(col(SyncCursor.chain_id).in_(chains))
        with database.reading() as session:
            return {
                cursor.chain_id: Place(cursor.number, cursor.hash)
                for cursor in session.exec(query).all()
            }

    return read


NOTICES = "notices"


def newest_notice_of(database: Database) -> Callable[[Sequence[str]], Mapping[str, int]]:
    """Give what reads the place of the newest notice."""

    def read(_: Sequence[str]) -> Mapping[str, int]:
        with database.reading() as session:
            return {NOTICES: newest(session)}

    return read

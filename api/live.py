"""Who waits for the chain to move: one look at the cursor for all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import structlog
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from registry.captable.feed import Place
from registry.captable.models import SyncCursor
from registry.kernel.db import Database
from registry.kernel.errors import Unavailable

log = structlog.get_logger()

LOOK_SECONDS = 0.1
MOST_STREAMS = 500
"""That one process serves at once; each costs a socket and a few kilobytes."""


class Live:
    """Tells when the cursor of a chain has moved.

    While anybody waits, one task looks at the cursors of their chains; a stream itself holds no
    connection to the database, however slowly its reader reads.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._places: dict[int, Place] = {}
        self._moved = asyncio.Condition()
        self._streams: Counter[int] = Counter()
        self._looking: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def stream(self, chain_id: int) -> AsyncIterator[None]:
        """Count a stream of a chain's token while it lasts."""
        self._streams[chain_id] += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            self._streams[chain_id] -= 1
            if not self._streams[chain_id]:
                del self._streams[chain_id]
                # What is known of a chain that nobody looks at grows old.
                self._places.pop(chain_id, None)
            if not self._streams and self._looking is not None:
                self._looking.cancel()
                self._looking = None

    def check_room(self) -> None:
        """Refuse one more stream where there are too many.

        Raises
        ------
        Unavailable
            ``too_many_streams``.
        """
        if self._streams.total() >= MOST_STREAMS:
            raise Unavailable(
                "too_many_streams", "All streams of this process are taken; try again soon."
            )

    async def moved_from(self, chain_id: int, place: Place, seconds: float) -> bool:
        """Wait until a chain's cursor stands elsewhere, but not for ever; tell whether it does."""
        async with self._moved:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    self._moved.wait_for(lambda: self._places.get(chain_id, place) != place),
                    seconds,
                )
                return True
        return False

    async def _look(self) -> None:
        while True:
            try:
                places = await run_in_threadpool(self._read, list(self._streams))
            except DBAPIError as fault:
                log.warning("stream_waits", reason=str(fault.orig))
            else:
                if places != self._places:
                    async with self._moved:
                        self._places = places
                        self._moved.notify_all()
            await asyncio.sleep(LOOK_SECONDS)

    def _read(self, chains: Sequence[int]) -> dict[int, Place]:
        query = select(SyncCursor).where(col(SyncCursor.chain_id).in_(chains))
        with self._database.reading() as session:
            return {
                cursor.chain_id: Place(cursor.number, cursor.hash)
                for cursor in session.exec(query).all()
            }

"""Who waits for the chain to move: one look at the cursor for all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import structlog
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import DBAPIError

from registry.captable.feed import Place
from registry.captable.models import SyncCursor
from registry.kernel.db import Database
from registry.kernel.errors import Unavailable

log = structlog.get_logger()

LOOK_SECONDS = 0.1
MOST_STREAMS = 500
"""That one process serves at once; each costs a socket and a few kilobytes."""


class Live:
    """Tells when the cursor of one chain has moved.

    While anybody waits, one task looks at the cursor; a stream itself holds no connection to the
    database, however slowly its reader reads.
    """

    def __init__(self, database: Database, chain_id: int) -> None:
        self._database = database
        self._chain_id = chain_id
        self._place: Place | None = None
        self._moved = asyncio.Condition()
        self._streams = 0
        self._looking: asyncio.Task[None] | None = None

    @contextlib.asynccontextmanager
    async def stream(self) -> AsyncIterator[None]:
        """Count a stream while it lasts."""
        self._streams += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            self._streams -= 1
            if not self._streams and self._looking is not None:
                self._looking.cancel()
                self._looking, self._place = None, None

    def check_room(self) -> None:
        """Refuse one more stream where there are too many.

        Raises
        ------
        Unavailable
            ``too_many_streams``.
        """
        if self._streams >= MOST_STREAMS:
            raise Unavailable(
                "too_many_streams", "All streams of this process are taken; try again soon."
            )

    async def moved_from(self, place: Place, seconds: float) -> bool:
        """Wait until the cursor stands elsewhere, for so long at most; tell whether it does."""
        async with self._moved:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(
                    self._moved.wait_for(lambda: self._place not in {None, place}), seconds
                )
                return True
        return False

    async def _look(self) -> None:
        while True:
            try:
                place = await run_in_threadpool(self._read)
            except DBAPIError as fault:
                log.warning("stream_waits", reason=str(fault.orig))
            else:
                if place != self._place:
                    async with self._moved:
                        self._place = place
                        self._moved.notify_all()
            await asyncio.sleep(LOOK_SECONDS)

    def _read(self) -> Place | None:
        with self._database.reading() as session:
            cursor = session.get(SyncCursor, self._chain_id)
            return Place(cursor.number, cursor.hash) if cursor else None

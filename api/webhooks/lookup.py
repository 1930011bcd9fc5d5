"""Looking names up, on threads of its own: a name that nobody answers holds nobody else up."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

THREADS = 64
EACH_OWNER = 2
"""Lookups of one owner at one moment; a thread counts until the system gives it back."""


class Lookups:
    """Finds the addresses of names.

    The system's lookup cannot be ended: who asks may go, the thread stays until the system gives
    up. On the threads of the event loop a few such names would stop whatever else runs there.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="lookup")
        self._rooms: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def find(self, owner: str, host: str, port: int) -> list[str]:
        """Return the addresses of a host.

        Parameters
        ----------
        owner
            On whose behalf: each waits for their own lookups alone.

        Raises
        ------
        OSError
            The name is not known, or cannot be looked up.
        """
        room = self._rooms.get(owner)
        if room is None:
            room = self._rooms[owner] = asyncio.Semaphore(EACH_OWNER)
        await room.acquire()
        job = self._threads.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        job.add_done_callback(partial(_leave, asyncio.get_running_loop(), room))
        return [str(place[0]) for *_, place in await asyncio.wrap_future(job)]

    def close(self) -> None:
        """Begin no other lookup; those under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _leave(loop: asyncio.AbstractEventLoop, room: asyncio.Semaphore, _job: Future[Any]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(room.release)

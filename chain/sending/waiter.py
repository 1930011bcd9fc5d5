"""Sleeping until there is work."""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Set as AbstractSet

import psycopg
import structlog
from psycopg.sql import SQL, Identifier

from registry.kernel.db import Database
from registry.operation.service import ANYTHING, WAKE_CHANNEL

log = structlog.get_logger()

STOP_SECONDS = 0.5
"""The longest that a sleeping worker does not notice that it shall stop."""


class Waiter:
    """Sleeps until a transaction commits that has work for us (LISTEN/NOTIFY), or time is up.

    Parameters
    ----------
    channel
        What is listened to.
    """

    def __init__(
        self, database: Database, stop: threading.Event, channel: str = WAKE_CHANNEL
    ) -> None:
        self._url = database.driver_url
        self._stop = stop
        self._channel = channel
        self._connection: psycopg.Connection | None = None
        self._woken_for: set[str] = set()

    def take_woken(self) -> AbstractSet[str]:
        """Give the kinds of operations that ended the last sleep; once only.

        With `ANYTHING` among them, anything may have become ready.
        """
        woken_for, self._woken_for = self._woken_for, set()
        return woken_for

    def wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
            if kinds := self._listen(min(left, STOP_SECONDS)):
                self._woken_for |= kinds
                return

    def _listen(self, seconds: float) -> AbstractSet[str]:
        try:
            if self._connection is None:
                self._connection = psycopg.connect(self._url, autocommit=True)
                self._connection.execute(SQL("LISTEN {}").format(Identifier(self._channel)))
                # What was committed before we listened told nobody.
                return {ANYTHING}
            # Nothing of Python runs while nothing is said.
            said = select.poll()
            said.register(self._connection.fileno(), select.POLLIN)
            if not said.poll(seconds * 1000):
                return set()
            # One look answers everything that was said until now.
            woken = {notice.payload for notice in self._connection.notifies(timeout=0)}
        except psycopg.OperationalError as fault:
            log.warning("listening_lost", reason=str(fault))
            self.close()
            self._stop.wait(seconds)
            return set()
        return woken

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(psycopg.OperationalError):
                self._connection.close()
            self._connection = None

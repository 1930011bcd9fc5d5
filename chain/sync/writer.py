"""One writer for each chain: who may project it, and how another takes over.

The role is a session's advisory lock, so that it ends with its holder's connection. A holder that
was stopped keeps its connection: whoever waits sees that it no longer beats, ends its
connections and takes the lock. That alone would not do, for a stopped program goes on where it
stood. So each taking over gives the chain's cursor a new generation, and every transaction of a
writer begins by making sure that the generation is still its own (ADR 0037).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from typing import LiteralString

import psycopg
import structlog
from sqlalchemy import text
from sqlmodel import Session

from chain.node.client import ChainClient
from chain.sync.ranges import projected
from registry.captable import projection
from registry.captable.projection import CursorMoved
from registry.kernel.db import Database

log = structlog.get_logger()

BEAT_SECONDS = 0.5
SILENT_SECONDS = 3.0
"""A holder that has not beaten for so long is taken for dead; if it is not, it loses the role."""
STANDBY_SECONDS = 0.5
"""How often whoever waits looks whether the role is free."""

_KEY = "hashtextextended('milkiyat sync ' || %(chain)s::bigint, 0)"
_TRY = f"SELECT pg_try_advisory_lock({_KEY})"
# A key of eight bytes stands in two columns of four.
_SILENT = f"""
SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND granted AND objsubid = 1
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (classid::bigint << 32 | objid::bigint) = {_KEY}
  AND clock_timestamp() - state_change > %(silent)s * interval '1 second'
"""  # noqa: S608 - nothing of a caller's is in it
_END = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND (pid = ANY(%(pids)s) OR application_name = %(name)s)
"""
_FENCE = text(
    "SELECT generation, set_config('application_name', :name, true) FROM sync_cursor"
    " WHERE chain_id = :chain FOR UPDATE"
)


class Writer:
    """The role of the one that projects a chain.

    Parameters
    ----------
    database, client
        Where the projection goes, and where it comes from.
    """

    def __init__(self, database: Database, client: ChainClient) -> None:
        self.database = database.guarded(self._require)
        """Transactions of it fail with `CursorMoved` once somebody else has the role."""
        self._plain = database
        self._client = client
        self._name = f"milkiyat writer {client.chain_id}"
        self._connection: psycopg.Connection | None = None
        self._beat: _Beat | None = None
        self._generation: int | None = None

    def hold(self, *, by_force: bool = False) -> bool:
        """Take the role if it is free, or its holder silent; tell whether we have it.

        Parameters
        ----------
        by_force
            Take it from a holder that is well, too. A program that syncs takes it back as soon
            as we release it.

        Raises
        ------
        psycopg.OperationalError
            The database does not answer.
        ChainError
            The node does not; the role is left to somebody whose node does.
        """
        if self._beat is not None and self._generation is None:
            # Fenced out: by whoever has our lock now, or by a repair, which leaves it with us.
            self._beat.show()
        if self._beat is not None and self._beat.is_alive:
            if self._generation is None:
                self._claim()
            return True
        if self._beat is not None:
            self.release()
            log.warning("writer_lost", chain=self._client.chain_id)
        if not self._lock(by_force=by_force):
            return False
        assert self._connection is not None
        try:
            self._claim()
        except BaseException:
            self.release()
            raise
        self._beat = _Beat(self._connection)
        log.info("writer_took_over", chain=self._client.chain_id, generation=self._generation)
        return True

    def release(self) -> None:
        """Give the role up."""
        if self._beat is not None:
            self._beat.stop()
        self._beat = self._generation = None
        if self._connection is not None:
            with contextlib.suppress(psycopg.OperationalError):
                self._connection.close()
            self._connection = None

    def _lock(self, *, by_force: bool) -> bool:
        where = {"chain": self._client.chain_id, "silent": -1 if by_force else SILENT_SECONDS}
        try:
            if self._connection is None:
                self._connection = psycopg.connect(
                    self._plain.driver_url, autocommit=True, application_name="milkiyat standby"
                )
            ours = self._connection
            if not _is_true(ours, _TRY, where):
                silent = [row[0] for row in ours.execute(_SILENT, where).fetchall()]
                if not silent:
                    return False
                log.warning("writer_silent", chain=self._client.chain_id, backends=silent)
                self._end(ours, silent)
                # Its lock is free once the backend has ended, which takes a moment.
                ours.execute("SELECT pg_sleep(0.05)")
                if not _is_true(ours, _TRY, where):
                    return False
            # Whoever wrote before may be stopped inside a transaction that locks the cursor.
            self._end(ours, [])
            ours.execute("SELECT set_config('application_name', %s, false)", [self._name])
        except psycopg.OperationalError:
            self.release()
            raise
        return True

    def _end(self, connection: psycopg.Connection, pids: list[int]) -> None:
        connection.execute(_END, {"pids": pids, "name": self._name})

    def _claim(self) -> None:
        # A cursor that is opened on another chain would begin at its head.
        self._client.check()
        head = self._client.head()
        chain_id = self._client.chain_id
        with self._plain.transaction() as session:
            projection.open_cursor(session, chain_id, projected(head), head.number)
            self._generation = projection.next_generation(session, chain_id)

    def _require(self, session: Session) -> None:
        """Lock the cursor, and make sure that its generation is ours.

        Raises
        ------
        CursorMoved
            It is not: somebody else has taken the role.
        """
        where = {"chain": self._client.chain_id, "name": self._name}
        row = session.execute(_FENCE, where).first()
        if row is None or row[0] != self._generation:
            self._generation = None
            raise CursorMoved("another program has taken the chain over")


class _Beat:
    """Shows on the connection that holds the role that its program still runs."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._stop = threading.Event()
        self.is_alive = True
        self._thread = threading.Thread(target=self._run, name="writer beat", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while self.is_alive and not self._stop.wait(BEAT_SECONDS):
            self.show()

    def show(self) -> None:
        try:
            self._connection.execute("SELECT 1")
        except psycopg.OperationalError as fault:
            self.is_alive = False
            log.warning("writer_connection_lost", reason=str(fault).strip())

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def _is_true(
    connection: psycopg.Connection, statement: LiteralString, where: Mapping[str, object]
) -> bool:
    row = connection.execute(statement, where).fetchone()
    return row is not None and bool(row[0])

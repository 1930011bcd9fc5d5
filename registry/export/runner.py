"""Writing exports, one after another; one that is cut off is written anew from its beginning."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from threading import Event
from typing import Any
from uuid import UUID

import psycopg
import structlog
from sqlalchemy import text, update
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from registry.document.content import store_sealed
from registry.document.store import DocumentStore, StoreUnreachable
from registry.export.models import OPEN_STATES, CapTableExport, ExportState
from registry.export.service import get_export
from registry.export.writing import SUFFIXES, Checksummed, count_holders, write_export
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import RegistryError, Unavailable
from registry.kernel.vault import Vault

log = structlog.get_logger()

KEPT_FOR = timedelta(days=7)
"""A file is kept for so long: the same one can be had again from its block."""
TOLD_EVERY_ROWS = 20_000
_LOCK_FAMILY = 0x6D65  # any number that no other pair of advisory locks begins with
_SNAPSHOT = text("SELECT now()")
_TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(:family, hashtext(:name))")


class Stopped(Exception):
    """The service stops; the export is written by the next one."""


class ExportWorker:
    """Writes exports, the oldest first; the lock of each dies with its transaction."""

    def __init__(
        self, database: Database, vault: Vault, store: DocumentStore, checksummed: Checksummed
    ) -> None:
        self._database = database
        self._vault = vault
        self._store = store
        self._checksummed = checksummed
        self._waiting: set[UUID] = set()
        """Of which it is said already: a token may be read for hours, and is asked for often."""

    def turn(self, stop: Event) -> bool:
        """Write one export to its end, or until `stop`; tell whether there was one.

        One whose token is being read anew waits, and the next one is written.

        Raises
        ------
        StoreUnreachable
            None can be written.
        """
        self._forget_files()
        with self._database.reading() as session:
            for job in self._open_jobs(session):
                try:
                    self._carry_out(session, job, stop)
                except StoreUnreachable:
                    raise  # for every other one as well
                except Unavailable as error:
                    self._note_waiting(job.id, error)
                else:
                    self._waiting.discard(job.id)
                    return True
            return False

    def _note_waiting(self, export_id: UUID, error: Unavailable) -> None:
        if export_id not in self._waiting:
            self._waiting.add(export_id)
            log.info("export_waits", export_id=str(export_id), code=error.code)

    def _carry_out(self, session: Session, job: CapTableExport, stop: Event) -> None:
        try:
            self._write(session, job, stop)
        except Stopped:
            log.info("export_put_off", export_id=str(job.id))
        except Unavailable:
            raise
        except RegistryError as refused:
            self._fail(job.id, {"code": refused.code, "detail": refused.detail})
        except Exception as fault:
            if _is_of_the_database(fault):
                raise
            # One export that we cannot write must not keep the others waiting.
            log.exception("export_failed", export_id=str(job.id))
            said = {"code": "internal_error", "detail": "The fault is recorded."}
            self._fail(job.id, said)

    def _open_jobs(self, session: Session) -> Iterator[CapTableExport]:
        """Give what nobody else writes, the oldest first."""
        jobs = session.exec(
            select(CapTableExport)
            .where(col(CapTableExport.state).in_(OPEN_STATES))
            .order_by(col(CapTableExport.id))
        ).all()
        for job in jobs:
            names = {"family": _LOCK_FAMILY, "name": str(job.id)}
            if session.connection().execute(_TRY_LOCK, names).scalar_one():
                yield job

    def _write(self, session: Session, job: CapTableExport, stop: Event) -> None:
        told = 0

        def advance(done: int) -> None:
            nonlocal told
            if stop.is_set():
                raise Stopped
            if done - told >= TOLD_EVERY_ROWS:
                told = done
                self._tell(job.id, done=done)

        total = count_holders(session, job)
        # By the database's clock: what is repaired after its snapshot is told from before it.
        snapshot = session.connection().execute(_SNAPSHOT).scalar_one()
        self._tell(job.id, done=0, total=total, state=ExportState.RUNNING, started_at=snapshot)
        with tempfile.TemporaryFile() as file:
            sha256, size = write_export(session, job, file, advance, self._checksummed)
            file.seek(0)
            name = f"export.{SUFFIXES[job.format]}"
            stored_as, sealed = store_sealed(self._vault, self._store, job.id, file, name)
        with self._database.transaction() as writing:
            ended = get_export(writing, job.id, lock=True)
            ended.state, ended.done = ExportState.DONE, total
            ended.sha256, ended.size_bytes = sha256, size
            ended.stored_as, ended.sealed = stored_as, sealed
            ended.ended_at = now()
            ended.expires_at = now() + KEPT_FOR
            writing.add(ended)
        log.info("export_written", export_id=str(job.id), rows=total, bytes=size)

    def _tell(self, export_id: UUID, **how_far: Any) -> None:
        """Say how far it is, in a transaction of its own."""
        with self._database.transaction() as session:
            session.execute(
                update(CapTableExport).where(col(CapTableExport.id) == export_id).values(**how_far)
            )

    def _fail(self, export_id: UUID, said: dict[str, str]) -> None:
        with self._database.transaction() as session:
            job = get_export(session, export_id, lock=True)
            job.state, job.problem, job.ended_at = ExportState.FAILED, said, now()
            session.add(job)

    def _forget_files(self) -> None:
        """Remove the files whose time is over."""
        with self._database.transaction() as session:
            for job in session.exec(
                select(CapTableExport)
                .where(
                    col(CapTableExport.state) == ExportState.DONE,
                    col(CapTableExport.expires_at) < now(),
                )
                .with_for_update(skip_locked=True)
            ).all():
                assert job.stored_as is not None
                self._store.remove(job.stored_as)
                job.state, job.stored_as, job.sealed = ExportState.EXPIRED, None, None
                session.add(job)


def _is_of_the_database(fault: Exception) -> bool:
    """Tell whether the database failed, for every export, and not what it was to store of one."""
    cause = fault.orig if isinstance(fault, DBAPIError) else fault
    of_one = psycopg.DataError | psycopg.IntegrityError
    return isinstance(cause, psycopg.Error) and not isinstance(cause, of_one)

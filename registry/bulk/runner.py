"""Working imports off, batch after batch; a worker that dies leaves whole batches only.

While one batch waits for the database, a second thread reads and measures the next.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from threading import Event
from uuid import UUID

import psycopg
import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from registry.asset.classes import class_of
from registry.bulk.batch import work_batch
from registry.bulk.drafts import Draft, DraftReader
from registry.bulk.formats import SourceRow
from registry.bulk.mapping import read_mapping
from registry.bulk.models import OPEN_STATES, BulkImport, ImportState
from registry.bulk.service import MAX_DRY_RUN_CHARACTERS, get_import
from registry.bulk.stored import stored_rows
from registry.document.store import DocumentCorrupted, DocumentStore
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Invalid, RegistryError, Unavailable
from registry.kernel.vault import SealBroken, Vault

log = structlog.get_logger()

BATCH_ROWS = 1000
BATCH_CHARACTERS = 4 * 1024 * 1024
"""Of the file, in one batch: a thousand parcels have a quarter of it."""
STEP_BACK_SECONDS = 0.05
_MAX_RACES = 5

_LOCK_FAMILY = 0x6D69  # any number that no other pair of advisory locks begins with
_TRY_LOCK = text("SELECT pg_try_advisory_lock(:family, hashtext(:name))")

_Waits = psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected


class ImportWorker:
    """Works imports off, the oldest first.

    Two workers never work on one import: each holds its lock, which dies with the connection. If
    that should ever fail, the cursor, moved in the transaction of its rows, lets one of them pass.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        store: DocumentStore,
        *,
        batch_rows: int = BATCH_ROWS,
    ) -> None:
        self._database = database
        self._vault = vault
        self._store = store
        self._most = (batch_rows, BATCH_CHARACTERS)

    def turn(self, stop: Event) -> bool:
        """Work one import to its end, or until `stop`; tell whether there was one."""
        self._forget_files()
        with self._claimed() as job:
            if job is None:
                return False
            try:
                self._work(job, stop)
            except (Unavailable, DBAPIError, psycopg.Error):
                raise  # tried again when that answers
            except Exception as error:
                # One import that we cannot work must not keep the others waiting.
                log.exception("import_failed", import_id=str(job.id))
                self._fail(job.id, error)
            return True

    @contextmanager
    def _claimed(self) -> Iterator[BulkImport | None]:
        """Give the oldest open import that nobody works on; its lock is held meanwhile."""
        with self._database.engine.connect() as pooled:
            connection = pooled.execution_options(isolation_level="AUTOCOMMIT")
            found = None
            for job in self._open_imports():
                names = {"family": _LOCK_FAMILY, "name": str(job.id)}
                if connection.execute(_TRY_LOCK, names).scalar_one():
                    found = job
                    break
            try:
                yield found
            finally:
                # Closed for good: it takes its lock along.
                connection.invalidate()

    def _open_imports(self) -> Sequence[BulkImport]:
        with self._database.reading() as session:
            return session.exec(
                select(BulkImport)
                .where(col(BulkImport.state).in_(OPEN_STATES))
                .order_by(col(BulkImport.id))
            ).all()

    def _work(self, job: BulkImport, stop: Event) -> None:
        batches = self._batches(job.id)
        with (
            _collected_by_batch() as collect,
            ThreadPoolExecutor(1, thread_name_prefix="import") as reader,
        ):
            coming: Future[list[Draft] | None] = reader.submit(next, batches, None)
            while (drafts := coming.result()) is not None and not stop.is_set():
                coming = reader.submit(next, batches, None)
                if not self._commit(job.id, drafts, stop):
                    return
                collect()

    def _batches(self, import_id: UUID) -> Iterator[list[Draft]]:
        """Read the rows behind the cursor."""
        with self._database.reading() as session:
            # Read anew: another worker may have gone on since the list was made.
            job = get_import(session, import_id)
        if job.state not in OPEN_STATES:
            return
        spec = class_of(job.asset_class)
        reader = DraftReader(
            read_mapping(job.mapping, spec),
            spec,
            job.title_regime,
            allots_codes=job.code_prefix is not None,
        )
        rows = islice(stored_rows(self._vault, self._store, job), job.done, None)
        # A dry run holds nothing, so its rows must meet in one batch: it is short.
        most = (job.total, MAX_DRY_RUN_CHARACTERS) if job.dry_run else self._most
        while drafts := reader.read(_next_rows(rows, *most)):
            yield drafts

    def _commit(self, import_id: UUID, drafts: Sequence[Draft], stop: Event) -> bool:
        """Work one batch, again as often as others come between; tell whether to go on."""
        races = 0
        while not stop.is_set():
            try:
                return self._try(import_id, drafts)
            except (DBAPIError, psycopg.Error) as error:
                cause = error.orig if isinstance(error, DBAPIError) else error
                if isinstance(cause, _Waits):
                    stop.wait(STEP_BACK_SECONDS)
                elif isinstance(cause, psycopg.errors.UniqueViolation) and races < _MAX_RACES:
                    races += 1  # somebody was quicker: now that is seen
                elif isinstance(cause, psycopg.DataError | psycopg.IntegrityError):
                    return self._commit_parts(import_id, drafts, cause, stop)
                else:
                    raise
        return False

    def _commit_parts(
        self, import_id: UUID, drafts: Sequence[Draft], cause: psycopg.Error, stop: Event
    ) -> bool:
        """Find the one row that the database will not have: it does not stop the others."""
        if len(drafts) == 1:
            log.warning("import_row_not_storable", row=drafts[0].no, sqlstate=cause.sqlstate)
            detail = "A value of the row cannot be stored."
            drafts[0].problems.append(Invalid("value_not_storable", detail))
            return self._try(import_id, drafts)
        half = len(drafts) // 2
        return self._commit(import_id, drafts[:half], stop) and self._commit(
            import_id, drafts[half:], stop
        )

    def _try(self, import_id: UUID, drafts: Sequence[Draft]) -> bool:
        with self._database.transaction() as session:
            job = get_import(session, import_id, lock=True)
            if job.state not in OPEN_STATES or job.done != drafts[0].no - 1:
                return False
            job.state = ImportState.RUNNING
            job.started_at = job.started_at or now()
            work_batch(session, self._vault, job, drafts)
        return True

    def _fail(self, import_id: UUID, error: Exception) -> None:
        if isinstance(error, DocumentCorrupted | SealBroken):
            error = Invalid("import_file_lost", "The stored file is gone or damaged.")
        said = {"code": "internal_error", "detail": "The fault is recorded."}
        if isinstance(error, RegistryError):
            said = {"code": error.code, "detail": error.detail}
        with self._database.transaction() as session:
            job = get_import(session, import_id, lock=True)
            job.state, job.problem, job.ended_at = ImportState.FAILED, said, now()
            session.add(job)

    def _forget_files(self) -> None:
        """Remove the files of imports that ended: they name people, and nobody reads them again."""
        with self._database.transaction() as session:
            for job in _ended_with_files(session):
                assert job.stored_as is not None
                self._store.remove(job.stored_as)
                job.stored_as = job.sealed = None
                session.add(job)


def _next_rows(rows: Iterator[SourceRow], most: int, characters: int) -> Iterator[SourceRow]:
    """Yield the next rows until there are `most`, or as many characters; one row at least."""
    for row in islice(rows, most):
        yield row
        characters -= row.size
        if characters <= 0:
            return


@contextmanager
def _collected_by_batch() -> Iterator[Callable[[], object]]:
    """Have rubbish collected once a batch, not whenever a few thousand objects are made.

    Rows are many small objects that live as long as their batch: the collector looked at all of
    them again and again, for two fifths of the time that Python took.
    """
    gc.freeze()
    gc.disable()
    try:
        yield gc.collect
    finally:
        gc.enable()
        gc.unfreeze()


def _ended_with_files(session: Session) -> Sequence[BulkImport]:
    return session.exec(
        select(BulkImport)
        .where(col(BulkImport.state).not_in(OPEN_STATES), col(BulkImport.stored_as).is_not(None))
        .with_for_update(skip_locked=True)
    ).all()

"""The sealer's loop: it goes on whatever happens, and what happens is told."""

from __future__ import annotations

import threading
import time
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlmodel import col, select
from structlog.testing import capture_logs

from registry.journal import service as journal
from registry.journal.health import JournalHealth, health_of
from registry.journal.loop import BROKEN_SECONDS, IDLE_SECONDS, run_sealer, seal_once
from registry.journal.models import JournalEntry, JournalLeaf
from registry.journal.sealer import ROW_MISSING
from registry.kernel.db import Database
from tests.factories import MAKER

pytestmark = pytest.mark.db


def write(database: Database, number: int = 1) -> list[UUID]:
    with database.transaction() as session:
        for index in range(number):
            journal.record(session, MAKER, "opened", "asset", index)
        session.flush()
        return list(session.exec(select(JournalEntry.id).order_by(col(JournalEntry.id))).all())


def meddle(database: Database, statement: str) -> None:
    """Do what triggers would refuse, as a superuser can."""
    with database.engine.begin() as connection:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(text(statement))


def health(database: Database) -> JournalHealth:
    with database.reading() as session:
        return health_of(session)


def test_seal_once__rows_wait__seals_them_and_then_rests(empty_database: Database) -> None:
    write(empty_database, 3)
    waiting = health(empty_database)

    pauses = [seal_once(empty_database), seal_once(empty_database)]

    assert (waiting.sealed, waiting.waiting) == (0, 3)
    assert waiting.waiting_since is not None
    assert pauses == [0.0, IDLE_SECONDS]
    assert health(empty_database) == JournalHealth(3, 0, None, missing=0, is_broken=False)


def test_seal_once__row_gone_before_its_seal__is_told_and_sealed_as_missing(
    empty_database: Database,
) -> None:
    _, gone, _ = write(empty_database, 3)
    meddle(empty_database, f"DELETE FROM journal_entry WHERE id = '{gone}'")

    with capture_logs() as told:
        while not seal_once(empty_database):
            pass

    [alarm] = [entry for entry in told if entry["event"] == "journal_row_missing"]
    assert (alarm["log_level"], alarm["entry_id"]) == ("error", str(gone))
    with empty_database.reading() as session:
        last = session.exec(
            select(JournalEntry)
            .join(JournalLeaf, col(JournalLeaf.entry_id) == col(JournalEntry.id))
            .where(col(JournalLeaf.seq) == 3)
        ).one()
    assert (last.act, last.facts) == (ROW_MISSING, {"kind": "act", "entry_id": str(gone)})
    assert health(empty_database) == JournalHealth(3, 0, None, missing=1, is_broken=False)


def test_seal_once__row_queued_twice__is_sealed_once(empty_database: Database) -> None:
    [entry_id] = write(empty_database)
    queue_again = f"INSERT INTO journal_pending VALUES ('act', '{entry_id}')"
    meddle(empty_database, queue_again)
    seal_once(empty_database)
    meddle(empty_database, queue_again)

    assert [seal_once(empty_database), seal_once(empty_database)] == [0.0, IDLE_SECONDS]
    assert health(empty_database) == JournalHealth(1, 0, None, missing=0, is_broken=False)


def test_seal_once__newest_seal_rewritten__is_told_and_loses_nothing(
    empty_database: Database,
) -> None:
    write(empty_database)
    seal_once(empty_database)
    meddle(empty_database, "UPDATE journal_seal SET root = sha256('x')")
    write(empty_database)

    with capture_logs() as told:
        assert seal_once(empty_database) == BROKEN_SECONDS

    assert [(entry["event"], entry["code"]) for entry in told] == [
        ("journal_not_sealed", "journal_head_broken")
    ]
    assert health(empty_database).is_broken
    assert health(empty_database).waiting == 1


def test_run_sealer__while_others_write__seals_everything_until_it_is_stopped(
    empty_database: Database,
) -> None:
    stop = threading.Event()
    loop = threading.Thread(target=run_sealer, args=(empty_database, stop))
    loop.start()
    try:
        for _ in range(5):
            write(empty_database, 4)
        while health(empty_database).sealed < 20:
            assert loop.is_alive()
            time.sleep(0.01)
    finally:
        stop.set()
        loop.join()

    assert health(empty_database) == JournalHealth(20, 0, None, missing=0, is_broken=False)

from __future__ import annotations

import contextlib

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError

from registry.kernel.db import Database
from tests.db.rows import party

pytestmark = pytest.mark.db

COUNT = text("SELECT count(*) FROM party")


def count(database: Database) -> int:
    with database.engine.connect() as connection:
        return int(connection.execute(COUNT).scalar_one())


def test_check__server_answers__says_nothing(database: Database) -> None:
    database.check()


def test_transaction__left_normally__is_committed(fresh_database: Database) -> None:
    with fresh_database.transaction() as session:
        party(session)

    assert count(fresh_database) == 1


def test_transaction__left_by_an_error__is_rolled_back(fresh_database: Database) -> None:
    with pytest.raises(ZeroDivisionError), fresh_database.transaction() as session:  # noqa: PT012
        party(session)
        _ = 1 / 0

    assert count(fresh_database) == 0


def test_reading__write__is_refused_by_the_database(database: Database) -> None:
    with database.reading() as session, pytest.raises(InternalError, match="read-only"):
        party(session)


def test_reading__another_commits_meanwhile__still_sees_the_same(fresh_database: Database) -> None:
    with fresh_database.reading() as reader:
        before = reader.connection().execute(COUNT).scalar_one()
        with fresh_database.transaction() as writer:
            party(writer)

        assert reader.connection().execute(COUNT).scalar_one() == before == 0

    assert count(fresh_database) == 1


def test_reading__connection_given_back__writes_again(fresh_database: Database) -> None:
    for _ in range(30):
        with fresh_database.reading() as reader:
            reader.connection().execute(COUNT)
    with fresh_database.transaction() as session:
        party(session)

    assert count(fresh_database) == 1


def test_transaction__server_ended_every_idle_connection__connects_anew(
    fresh_database: Database,
) -> None:
    with contextlib.ExitStack() as held:
        for _ in range(3):
            held.enter_context(fresh_database.transaction()).connection()
    ended = text(
        "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    other = Database(fresh_database.url)
    with other.transaction() as session:
        assert session.connection().execute(ended).scalar_one() >= 3
    other.dispose()

    for _ in range(3):
        assert count(fresh_database) == 0


def test_autocommit__server_ended_it_meanwhile__is_told_once_and_connects_anew(
    fresh_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        pytest.raises(psycopg.OperationalError),
        fresh_database.autocommit() as connection,
    ):
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with fresh_database.autocommit() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert caplog.records == [], "the pool has nothing to say to what its caller was told"

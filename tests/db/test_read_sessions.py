"""What a reading leaves on its connection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import InternalError

from registry.kernel.db import Database
from tests.conftest import DatabaseMaker

pytestmark = pytest.mark.db

ASKED = "SELECT count(*) FROM holder WHERE holder_no = :number"
# The driver prepares what it was given five times.
OFTEN = 8


@pytest.fixture
def one_connection(make_database: DatabaseMaker) -> Iterator[Database]:
    with make_database() as database:
        alone = Database(database.url, pool_size=1)
        yield alone
        alone.dispose()


def test_reading__asked_again_and_again__is_planned_once(one_connection: Database) -> None:
    for number in range(OFTEN):
        with one_connection.reading() as session:
            session.connection().execute(text(ASKED), {"number": number})

    with one_connection.engine.connect() as connection:
        prepared = connection.execute(
            text("SELECT statement FROM pg_prepared_statements WHERE statement LIKE :asked"),
            {"asked": "%FROM holder WHERE holder_no%"},
        ).scalars()
        assert len(list(prepared)) == 1


def test_reading__that_writes__is_refused(one_connection: Database) -> None:
    insert = text("INSERT INTO holder (address) VALUES (decode(repeat('00', 20), 'hex'))")
    with (
        pytest.raises(InternalError, match="read-only transaction"),
        one_connection.reading() as session,
    ):
        session.connection().execute(insert)

"""What a reading leaves on its connection."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import bindparam, inspect, select, text
from sqlalchemy.exc import DataError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.orm.exc import UnmappedInstanceError
from sqlmodel import SQLModel, col

from registry.kernel import reading
from registry.kernel.db import Database, ReadSession
from registry.kernel.reading import Composed
from registry.offering import service as offerings
from registry.offering.models import Offering
from registry.offering.terms import OfferTerms
from registry.tokenization.models import Tokenization
from registry.valuation.models import Valuation
from tests import sales
from tests.conftest import DatabaseMaker
from tests.db.stage import Stage, StageMaker
from tests.factories import COMPLIANCE, Desk

pytestmark = pytest.mark.db

ASKED = "SELECT count(*) FROM holder WHERE holder_no = :number"
ASKED_BYTES = b"SELECT count(*) FROM holder WHERE address = %(address)s"
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


def test_reading__by_driver_and_by_sqlalchemy__is_of_one_snapshot(
    one_connection: Database,
) -> None:
    with one_connection.reading() as session:
        [(asked,)] = session.ask(b"SELECT pg_backend_pid()::text || txid_current_snapshot()", {})
        told = session.scalar(text("SELECT pg_backend_pid()::text || txid_current_snapshot()"))

        assert asked == told


@pytest.mark.parametrize("ends_well", [True, False])
@pytest.mark.parametrize("by_sqlalchemy", [True, False])
def test_reading__ended__leaves_a_connection_as_it_was(
    one_connection: Database, *, ends_well: bool, by_sqlalchemy: bool
) -> None:
    query = "SELECT count(*) FROM holder" if ends_well else "SELECT 1 / 0"
    with contextlib.suppress(DataError), one_connection.reading() as session:
        if by_sqlalchemy:
            session.execute(text(query))
        else:
            session.ask(query.encode(), {})

    # The only one there is.
    with one_connection.transaction() as session:
        driver = session.connection().connection.driver_connection
        assert isinstance(driver, psycopg.Connection)
        assert not driver.autocommit
        session.execute(
            text("INSERT INTO holder (address) VALUES (decode(repeat('01', 20), 'hex'))")
        )
        session.rollback()
    with one_connection.reading() as session:
        assert session.ask(ASKED_BYTES, {"address": b"\1" * 20}) == [(0,)]


@pytest.mark.parametrize("by_sqlalchemy", [True, False])
def test_reading__whose_server_has_gone__says_so_and_the_next_one_reads(
    one_connection: Database, *, by_sqlalchemy: bool
) -> None:
    with one_connection.reading() as session:
        [(server,)] = session.ask(b"SELECT pg_backend_pid()", {})
        with psycopg.connect(one_connection.driver_url) as other:
            other.execute("SELECT pg_terminate_backend(%s)", [server])
        with pytest.raises(OperationalError):
            session.execute(text("SELECT 1")) if by_sqlalchemy else session.ask(b"SELECT 1", {})
        session.close()

    assert one_connection.engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    with one_connection.reading() as session:
        assert session.ask(b"SELECT 1", {}) == [(1,)]


def test_reading__forgotten_by_whoever_began_it__makes_no_writer_commit_by_pieces(
    one_connection: Database,
) -> None:
    forgotten = one_connection.open_reading()
    forgotten.ask(b"SELECT 1", {})
    del forgotten
    gc.collect()

    with contextlib.suppress(ZeroDivisionError), one_connection.transaction() as session:
        session.execute(
            text("INSERT INTO holder (address) VALUES (decode(repeat('02', 20), 'hex'))")
        )
        _ = 1 / 0
    with one_connection.reading() as reading:
        assert reading.ask(ASKED_BYTES, {"address": b"\2" * 20}) == [(0,)]


@pytest.mark.parametrize("end", [ReadSession.commit, ReadSession.rollback, ReadSession.finish])
def test_reading__asked_after_its_end__only_reads_again(
    one_connection: Database, end: Callable[[ReadSession], None]
) -> None:
    with one_connection.reading() as session:
        session.execute(text("SELECT 1"))
        end(session)

        [(kind,)] = session.ask(b"SHOW transaction_read_only", {})
        [(level,)] = session.ask(b"SHOW transaction_isolation", {})

    assert (kind, level) == ("on", "repeatable read")


def test_reading__that_could_not_begin__keeps_no_connection(
    one_connection: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = one_connection.open_reading()
    with monkeypatch.context() as patch:
        patch.setattr(reading, "_BEGIN", b"BEGIN ISOLATION LEVEL NONE OF THESE")
        with pytest.raises(ProgrammingError):
            session.ask(b"SELECT 1", {})
        assert one_connection.engine.pool.checkedout() == 0  # type: ignore[attr-defined]

    assert session.ask(b"SHOW transaction_read_only", {}) == [("on",)]
    session.close()


def test_reading__whose_server_goes_before_its_end__says_so(one_connection: Database) -> None:
    session = one_connection.open_reading()
    [(server,)] = session.ask(b"SELECT pg_backend_pid()", {})
    with psycopg.connect(one_connection.driver_url) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [server])

    with pytest.raises(OperationalError):
        session.finish()
    session.close()
    assert one_connection.engine.pool.checkedout() == 0  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[UUID]]:
    def build(desk: Desk) -> UUID:
        token = sales.deployed(desk, sales.wrapped_apartment(desk))
        terms = OfferTerms(offered_units=1_000, eligible_countries=("PK",))
        return offerings.open_offering(desk.session, COMPLIANCE, token.id, terms).id

    with make_stage(build) as made:
        yield made


def tables() -> list[type[SQLModel]]:
    mapped = [mapper.class_ for mapper in SQLModel._sa_registry.mappers]
    return sorted(mapped, key=lambda table: table.__name__)


def told(row: SQLModel) -> dict[str, tuple[type, Any]]:
    """Return what a row says, with the type of each value."""
    names = inspect(type(row)).columns.keys()
    return {name: (type(getattr(row, name)), getattr(row, name)) for name in names}


@pytest.mark.parametrize("table", tables(), ids=lambda table: table.__name__)
def test_get__by_a_reader__says_what_a_writer_reads(
    stage: Stage[UUID], table: type[SQLModel]
) -> None:
    with stage.database.transaction() as writing:
        row = writing.scalars(select(table).limit(1)).first()
        if row is None:
            return
        key = inspect(table).primary_key_from_instance(row)
        with stage.database.reading() as reading:
            plain = reading.get(table, key[0] if len(key) == 1 else tuple(key))

        assert plain is not None
        assert type(plain) is table
        assert told(plain) == told(row)
        assert plain.model_dump() == row.model_dump()


def test_get__by_a_reader__nothing_of_that_id__is_none(stage: Stage[UUID]) -> None:
    with stage.database.reading() as session:
        assert session.get(Offering, uuid4()) is None


def test_get__by_a_reader__row_that_was_read__is_the_same(stage: Stage[UUID]) -> None:
    with stage.database.reading() as session:
        row = session.scalars(select(Offering)).one()

        assert session.get(Offering, row.id) is row


def test_plain_row__added_to_a_session__is_refused(stage: Stage[UUID]) -> None:
    with stage.database.reading() as session:
        plain = session.get(Offering, stage.scene)

    with stage.database.transaction() as session, pytest.raises(UnmappedInstanceError):
        session.add(plain)


def test_composed__tables_and_columns__are_what_a_writer_is_told(stage: Stage[UUID]) -> None:
    question = Composed(
        select(col(Offering.state), Tokenization, col(Tokenization.economic_share_num), Valuation)
        .join(Offering, col(Offering.tokenization_id) == col(Tokenization.id))
        .outerjoin(Valuation, col(Valuation.method) == "none of this name")
        .where(col(Offering.id) == bindparam("id"))
        .limit(1)
    )
    with stage.database.transaction() as writing, stage.database.reading() as reading:
        ours, theirs = question.all(reading, id=stage.scene), question.all(writing, id=stage.scene)

        assert [type(value) for value in ours[0]] == [type(value) for value in theirs[0]]
        assert (ours[0][0], ours[0][2:]) == (theirs[0][0], theirs[0][2:])
        assert told(ours[0][1]) == told(theirs[0][1])


def test_composed__value_that_no_column_holds__is_refused_as_ever(stage: Stage[UUID]) -> None:
    question = Composed(select(Offering).where(col(Offering.offered_units) == bindparam("units")))

    with pytest.raises(DataError), stage.database.reading() as session:
        question.first(session, units=2**70)

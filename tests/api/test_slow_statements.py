"""A statement of a request that takes too long is stopped; what is long by its nature is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from api.program import _served
from registry.kernel import rows
from registry.kernel.actor import Role
from registry.kernel.db import Database
from registry.kernel.ids import new_id
from registry.party.models import Party
from tests.api.house import House, house_settings, open_house, problem_of
from tests.conftest import DatabaseMaker

pytestmark = pytest.mark.db

A_PERSON = {"kind": "NATURAL", "name": "Bilal", "cnic": "35202-1234567-1"}


@pytest.fixture(scope="module")
def hurried(
    make_database: DatabaseMaker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    """An API whose statements may take a second."""
    settings = house_settings(tmp_path_factory.mktemp("hurried"))
    with make_database() as database:
        own = Database(database.url, statement_seconds=1)
        with open_house(settings, own) as house:
            yield house
        own.dispose()


@pytest.fixture
def locked(hurried: House) -> Iterator[None]:
    """Somebody alters parties, for as long as the test."""
    somebody = Database(hurried.database.url)
    with somebody.transaction() as session:
        session.execute(text("LOCK TABLE party IN ACCESS EXCLUSIVE MODE"))
        yield
    somebody.dispose()


@pytest.mark.usefixtures("locked")
def test_request__statement_takes_too_long__is_503_and_may_be_repeated(hurried: House) -> None:
    caller = hurried.caller(Role.REGISTRAR_MAKER)

    for answer in (
        caller.get(f"/v1/parties/{new_id()}"),
        caller.post("/v1/parties", A_PERSON, key="once"),
    ):
        problem_of(answer, 503, "database_too_slow")
        assert int(answer.headers["retry-after"]) > 1


def test_request__repeated_when_the_database_is_as_ever__is_answered(hurried: House) -> None:
    caller = hurried.caller(Role.REGISTRAR_MAKER)

    assert caller.post("/v1/parties", A_PERSON, key="once").status_code == 201


def test_served__statements_of_requests_alone__are_limited(
    fresh_database: Database, tmp_path: Path
) -> None:
    settings = house_settings(tmp_path, statement_timeout_seconds=7)

    with _served(settings, fresh_database) as app:
        shown = [limit_of(each) for each in (app.state.services.database, fresh_database)]
    with _served(house_settings(tmp_path, statement_timeout_seconds=0), fresh_database) as app:
        shown.append(limit_of(app.state.services.database))

    assert shown == ["7s", "0", "0"]


def test_many_rows__written_in_one_statement__take_as_long_as_they_take(
    hurried: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "MANY_ROWS", 2)
    with hurried.database.transaction() as session:
        for count, limit in ((1, "1s"), (2, "0")):
            rows.update_many(
                session, [Party(created_by="x", version=1) for _ in range(count)], ("version",)
            )
            assert session.execute(text("SHOW statement_timeout")).scalar_one() == limit

    assert limit_of(hurried.database) == "1s"


def limit_of(database: Database) -> str:
    with database.reading() as session:
        return str(session.execute(text("SHOW statement_timeout")).scalar_one())

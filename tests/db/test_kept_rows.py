"""Of every table that the audit covers, each column that somebody changes by hand names its row.

The rows are made up from the columns alone, so a table has its cases as soon as it is in the list.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Column, Table, text
from sqlmodel import Session

from registry.history.check import differences, differing_rows
from registry.history.tables import KEPT_TABLES, LegalTable, SealedTable
from registry.journal.sealer import seal_all
from registry.kernel.db import Database
from registry.models import metadata
from tests.conftest import DatabaseMaker
from tests.db.tampering import faults
from tests.factories import tell_acts

pytestmark = pytest.mark.db

# What a row of nothing but its columns would break.
_RULES = """
SELECT format('ALTER TABLE %s DROP CONSTRAINT %I CASCADE', conrelid::regclass, conname)
FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND contype IN ('c', 'f', 'x')
    AND conrelid::regclass::text = ANY(:tables)
UNION ALL
SELECT format('DROP TRIGGER %I ON %s', tgname, tgrelid::regclass)
FROM pg_trigger
WHERE NOT tgisinternal AND tgname !~ '_(history|sealed)_(insert|update|delete)$|_past_kept$'
    AND tgrelid::regclass::text = ANY(:tables)
"""

_TEXT = "'x' || uuidv7()", "\"{name}\" || 'x'"
_NUMBER = "{number}", '"{name}" + 1'

# By the column's type: a first value, and how it is changed.
_VALUES = {
    "Uuid": ("uuidv7()", "uuidv7()"),
    "AutoString": _TEXT,
    "String": _TEXT,
    "EnumText": _TEXT,
    "Integer": _NUMBER,
    "BigInteger": _NUMBER,
    "Numeric": _NUMBER,
    "Uint256": _NUMBER,
    "Float": _NUMBER,
    "Boolean": ("true", 'NOT "{name}"'),
    "DateTime": ("now()", "\"{name}\" + interval '1 microsecond'"),
    "Date": ("current_date", '"{name}" + 1'),
    "LargeBinary": ("sha256(uuidv7()::text::bytea)", 'sha256("{name}")'),
    "JSONB": ("'{\"x\": 1}'", "'{\"x\": 2}'"),
    "ARRAY": ("'{1}'", "'{2}'"),
    "Box": ("'(1,1),(0,0)'", "'(2,2),(0,0)'"),
}


def written(column: Column[Any]) -> tuple[str, str]:
    """Give a first value of a column, and how it is changed."""
    return _VALUES[type(column.type).__name__]


def table_of(kept: LegalTable | SealedTable) -> Table:
    return metadata.tables[kept.name]


@pytest.fixture(scope="module")
def filled(make_database: DatabaseMaker) -> Iterator[Database]:
    """A register with two rows in each table, and without rules on what they say."""
    with make_database(empty=True) as database:
        with database.transaction() as session:
            connection = session.connection()
            tables = {"tables": [kept.name for kept in KEPT_TABLES]}
            for statement in connection.execute(text(_RULES), tables).scalars().all():
                connection.execute(text(statement))
            for kept in KEPT_TABLES:
                for number in (1, 2):
                    fill(session, table_of(kept), number)
            tell_acts(session)
        seal_all(database)
        yield database


def fill(session: Session, table: Table, number: int) -> None:
    columns = [column for column in table.columns if column.computed is None]
    names = ", ".join(f'"{column.name}"' for column in columns)
    values = ", ".join(written(column)[0].replace("{number}", str(number)) for column in columns)
    session.connection().execute(text(f"INSERT INTO {table.name} ({names}) VALUES ({values})"))


def test_audit__rows_as_they_were_recorded__names_none(filled: Database) -> None:
    assert faults(filled) == []


@pytest.mark.parametrize("kept", KEPT_TABLES, ids=lambda kept: kept.name)
def test_audit__column_of_a_row_changed_by_hand__names_the_row(
    filled: Database, kept: LegalTable | SealedTable
) -> None:
    table = table_of(kept)
    key = kept.key if isinstance(kept, LegalTable) else ("id",)
    covered = [
        column
        for column in table.columns
        if column.computed is None and column.name not in {*key, *uncovered(kept)}
    ]
    assert covered
    for column in covered:
        change = written(column)[1].replace("{name}", column.name)
        with filled.engine.connect() as connection, Session(connection) as session:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            row = connection.execute(
                text(
                    f'UPDATE {table.name} AS t SET "{column.name}" = {change}'
                    f" WHERE ctid = (SELECT max(ctid) FROM {table.name})"
                    " RETURNING legal_row_id(to_jsonb(t), :key)"
                ),
                {"key": list(key)},
            ).scalar_one()

            assert differing_rows(session, kept) == [str(row)], column.name


def uncovered(kept: LegalTable | SealedTable) -> tuple[str, ...]:
    return kept.keeping if isinstance(kept, LegalTable) else kept.aside


@pytest.mark.parametrize("kept", KEPT_TABLES, ids=lambda kept: kept.name)
def test_audit__row_added_or_taken_away_by_hand__is_named(
    filled: Database, kept: LegalTable | SealedTable
) -> None:
    table = table_of(kept)
    with filled.engine.connect() as connection, Session(connection) as session:
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        connection.execute(
            text(f"DELETE FROM {table.name} WHERE ctid = (SELECT max(ctid) FROM {table.name})")
        )
        fill(session, table, 3)

        found = list(differences(session))

    assert len(found) == 2
    assert {difference.table for difference in found} == {table.name}

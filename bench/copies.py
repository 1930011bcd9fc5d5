"""Copies of some records, many at once, by the database itself.

What belongs together is copied together: a row of a copy refers to the rows of the same copy. All
times lie so far back that a report of any day of the bench finds the rows there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import Column, Connection, DateTime, String, Uuid, text
from sqlmodel import Session, SQLModel

DAYS_BACK = 400

# As if the copies had come one after the other, a second apart; their ids are spread as those of
# years are, and the rest of each is a number of its own.
_TWIN = """
CREATE OR REPLACE FUNCTION pg_temp.twin(id uuid, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN CAST(encode(
  substring(int8send(CAST(CAST('x' || left(replace(CAST(id AS text), '-', ''), 12) AS bit(48))
    AS bigint) + n * 1000) FROM 3)
  || substring(uuid_send(id) FROM 7 FOR 2) || int8send(uuid_hash_extended(id, n)), 'hex') AS uuid)
"""
Instead = Mapping[str, Mapping[str, str]]
"""By table and column: what a copy has there, in SQL, of its number and of the row ``old``."""


@contextmanager
def written_quietly(session: Session) -> Iterator[Connection]:
    """Let triggers rest within: the history of made rows is not what is measured."""
    session.flush()
    run = session.connection()
    run.execute(text("SET LOCAL session_replication_role = replica"))
    run.execute(text(_TWIN))
    yield run
    run.execute(text("SET LOCAL session_replication_role = origin"))


def copy_rows(
    session: Session, rows: Mapping[str, Sequence[UUID]], count: int, instead: Instead
) -> None:
    """Copy rows of several tables, by their ids, `count` times."""
    ids = sorted({each for found in rows.values() for each in found})
    for table, found in rows.items():
        columns = SQLModel.metadata.tables[table].columns
        new = instead.get(table, {})
        names = ", ".join(f'"{column.name}"' for column in columns)
        values = ", ".join(new.get(column.name) or _copied(column) for column in columns)
        given = {"count": count, "rows": list(found)} | ({"ids": ids} if ":ids" in values else {})
        with written_quietly(session) as run:
            run.execute(
                text(
                    f"INSERT INTO {table} ({names}) SELECT {values}"  # noqa: S608 - our names
                    f" FROM {table} old, generate_series(1, CAST(:count AS bigint)) AS copy (n)"
                    f" WHERE old.{_key_of(table)} = ANY(:rows)"
                ),
                given,
            )


def _copied(column: Column[Any]) -> str:
    old = f'old."{column.name}"'
    if column.name == "subject_id" and isinstance(column.type, String):
        return f"CAST({_twin(f'CAST({old} AS uuid)')} AS text)"
    if isinstance(column.type, Uuid):
        return _twin(old)
    if isinstance(column.type, DateTime):
        return f"{old} - interval '{DAYS_BACK} days'"
    return old


def _twin(old: str) -> str:
    return f"CASE WHEN {old} = ANY(:ids) THEN pg_temp.twin({old}, copy.n) ELSE {old} END"


def _key_of(table: str) -> str:
    return "id" if "id" in SQLModel.metadata.tables[table].columns else _KEYS[table]


_KEYS = {"title_share": "version_id", "mutation_title": "mutation_id"}
"""Of tables without an id: by which their rows are named, all of one together."""


def rows_of_asset(session: Session, asset_id: UUID) -> dict[str, Sequence[UUID]]:
    """Find everything that hangs on an asset, by table; its entries of the journal too."""
    found: dict[str, Sequence[UUID]] = {"asset": [asset_id]}
    for table, by, of in _OF_ASSET:
        key = _key_of(table)
        query = f"SELECT DISTINCT {key} FROM {table} WHERE {by} = ANY(:of)"  # noqa: S608 - ours
        found[table] = (
            session.connection().execute(text(query), {"of": list(found[of])}).scalars().all()
        )
    ids = [each for some in found.values() for each in some]
    found["approval"] = _about(session, "approval", ids)
    found["journal_entry"] = _about(session, "journal_entry", [str(each) for each in ids])
    return found


def _about(session: Session, table: str, subjects: Sequence[object]) -> Sequence[UUID]:
    query = f"SELECT id FROM {table} WHERE subject_id = ANY(:subjects)"  # noqa: S608 - ours
    return session.connection().execute(text(query), {"subjects": subjects}).scalars().all()


_OF_ASSET = (
    *((table, "asset_id", "asset") for table in (
        "underlying_key", "document", "valuation", "parcel", "undivided_share", "rule_run",
        "suspension_cause", "wrapper", "tokenization", "warehouse_receipt", "bill_of_lading",
        "energy_reading", "title",
    )),
    ("stock_audit", "receipt_id", "warehouse_receipt"),
    ("bill_equipment", "bill_id", "bill_of_lading"),
    ("bill_endorsement", "bill_id", "bill_of_lading"),
    ("title_version", "title_id", "title"),
    ("title_share", "version_id", "title_version"),
    ("mutation", "title_id", "title"),
    ("mutation_title", "mutation_id", "mutation"),
    ("mutation_party", "mutation_id", "mutation"),
    ("encumbrance", "title_id", "title"),
    ("encumbrance_terms", "encumbrance_id", "encumbrance"),
)  # fmt: skip
"""Table, the column by which its rows hang, and on the rows of which table."""

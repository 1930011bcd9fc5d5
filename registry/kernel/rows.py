"""Finding a row by its id, a page of rows after an id, adding many: the same for every table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, TypeVar, cast
from uuid import UUID

import msgspec
from sqlalchemy import (
    ColumnElement,
    any_,
    bindparam,
    func,
    literal,
    literal_column,
    select,
    text,
    update,
)
from sqlalchemy import cast as as_type
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, Insert, insert
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.sql.selectable import TableValuedAlias
from sqlmodel import Session, SQLModel
from sqlmodel.sql.expression import SelectOfScalar

from registry.kernel.errors import NotFound

Row = TypeVar("Row", bound=SQLModel)
Selected = TypeVar("Selected")

MANY_ROWS = 10_000
"""A statement that writes so many may take as long as it takes."""


def get_row(
    session: Session, table: type[Row], row_id: UUID, *, kind: str, lock: bool = False
) -> Row:
    """Return one row; with `lock`, no other writer changes it until this one is done.

    Parameters
    ----------
    kind
        What people call it, for the error.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    row = session.get(table, row_id, with_for_update=lock or None, populate_existing=lock)
    if row is None:
        raise NotFound(kind, row_id)
    return row


def hold_rows(session: Session, table: type[Row], row_ids: Iterable[UUID]) -> None:
    """Let nobody change some rows until this transaction is done, and read them as they are now.

    Others may hold them as well, but not whoever means to change them.
    """
    key = cast("Any", table).__table__.c.id
    rows = select(table).where(among(key, row_ids)).order_by(key)
    session.execute(
        rows.with_for_update(read=True), execution_options={"populate_existing": True}
    ).all()


def among(column: Any, values: Iterable[Any]) -> ColumnElement[bool]:
    """Ask for the rows whose column has one of these values, in one parameter however many."""
    return cast(
        "ColumnElement[bool]", column == any_(literal(list(values), ARRAY(column.expression.type)))
    )


def among_named(column: Any, name: str) -> ColumnElement[bool]:
    """Ask the same of a statement that is composed once: the values are told under a name."""
    told = bindparam(name, type_=ARRAY(column.expression.type))
    return cast("ColumnElement[bool]", column == any_(told))


def among_words(column: Any, words: Iterable[StrEnum]) -> ColumnElement[bool]:
    """Ask the same for words of our own, which are written into the statement.

    To tell a list takes the driver as long as a short answer takes the server.
    """
    return cast("ColumnElement[bool]", column.in_([literal_column(f"'{word}'") for word in words]))


def insert_many(table: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> Insert:
    r"""Give the statement that adds rows, all in one parameter however many.

    The driver takes ten times as long for a parameter of each value.

    Parameters
    ----------
    rows
        Values by column, of the same columns each; bytes as `\x` and their digits. What they leave
        out is null.
    """
    names, new = list(rows[0]), _recordset(table, rows)
    return insert(table).from_select(names, select(*(new.c[name] for name in names)))


def _recordset(table: type[SQLModel], rows: Sequence[Mapping[str, Any]]) -> TableValuedAlias:
    """Give rows as a table of the same columns, all in one parameter."""
    stored = cast("Any", table).__table__
    document = as_type(literal(msgspec.json.encode(rows).decode()), JSONB)
    source = func.jsonb_populate_recordset(literal_column(f"NULL::{stored.name}"), document)
    return source.table_valued(*(stored.c[name] for name in rows[0]))


def add_many(session: Session, rows: Sequence[SQLModel]) -> None:
    """Add rows of one table in one statement however many; they are not the session's.

    `Session.add_all` has a statement for each row, and of a sealed table an image for each.
    """
    if not rows:
        return
    table = type(rows[0])
    names = cast("Any", table).__table__.columns.keys()
    if len(rows) >= MANY_ROWS:
        take_time(session)
    said = [{name: _written(getattr(row, name)) for name in names} for row in rows]
    session.execute(insert_many(table, said))


def take_time(session: Session) -> None:
    """Let statements take as long as they take, to the end of this transaction."""
    session.connection().execute(text("SET LOCAL statement_timeout = 0"))


def _written(value: Any) -> Any:
    """Write what JSON has no word for as PostgreSQL reads it: bytes, and numbers beyond 64 bits."""
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    return str(value) if type(value) is int else value


def update_many(session: Session, rows: Sequence[SQLModel], names: Sequence[str]) -> None:
    """Write these columns of rows that stand in the table, in one statement however many.

    What they have besides is written by the session, in a statement for each.

    Parameters
    ----------
    rows
        Of one table, known by `id`; their values are those to write.
    """
    if not rows:
        return
    table = type(rows[0])
    stored = cast("Any", table).__table__
    if len(rows) >= MANY_ROWS:
        take_time(session)
    said = [{name: _written(getattr(row, name)) for name in ("id", *names)} for row in rows]
    new = _recordset(table, said)
    for row in rows:
        for name in names:
            set_committed_value(row, name, getattr(row, name))
    session.connection().execute(
        update(stored).where(stored.c.id == new.c.id).values({name: new.c[name] for name in names})
    )


def in_pages(
    session: Session, query: SelectOfScalar[Selected], row_id: Any, *, size: int
) -> Iterator[Sequence[Selected]]:
    """Yield everything in the order of ids, so many at a time; what was looked at is let go."""
    after: UUID | None = None
    while rows := session.exec(page_after(query, row_id, after=after, limit=size)).all():
        yield rows
        after = cast("Any", rows[-1]).id
        session.expunge_all()


def page_after(
    query: SelectOfScalar[Selected], row_id: Any, *, after: UUID | None, limit: int | None
) -> SelectOfScalar[Selected]:
    """Order by id, which is the order of recording, and begin behind `after`.

    Parameters
    ----------
    row_id
        The table's id column.
    """
    if after is not None:
        query = query.where(row_id > after)
    return query.order_by(row_id).limit(limit)

"""Finding one row by its id, and a page of rows after an id: the same for every table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast
from uuid import UUID

from sqlalchemy import ColumnElement, any_, literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Session, SQLModel
from sqlmodel.sql.expression import SelectOfScalar

from registry.kernel.errors import NotFound

Row = TypeVar("Row", bound=SQLModel)


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


def among(column: Any, values: Iterable[Any]) -> ColumnElement[bool]:
    """Ask for the rows whose column has one of these values, in one parameter however many."""
    return cast(
        "ColumnElement[bool]", column == any_(literal(list(values), ARRAY(column.expression.type)))
    )


def page_after(
    query: SelectOfScalar[Row], row_id: Any, *, after: UUID | None, limit: int | None
) -> SelectOfScalar[Row]:
    """Order by id, which is the order of recording, and begin behind `after`.

    Parameters
    ----------
    row_id
        The table's id column.
    """
    if after is not None:
        query = query.where(row_id > after)
    return query.order_by(row_id).limit(limit)

"""Holding the register against its own history: what stands in a table is its newest image.

Or what was sealed of it last, where no image is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from registry.history import sealed
from registry.history.install import (
    columns_of,
    differing_triggers,
    differing_views,
    newest_images,
)
from registry.history.tables import (
    KEPT_TABLES,
    LEGAL_TABLES,
    SEALED_TABLES,
    LegalTable,
    SealedTable,
)

# What a row says, without how it is kept: the past takes that from the row of today.
_DIFFERING = """
SELECT row_id FROM (
    SELECT {row_id} AS row_id, body - CAST(:keeping AS text[]) AS said
    FROM (SELECT to_jsonb(t) AS body FROM {ours} AS t) AS ours
    EXCEPT
    SELECT {row_id}, body - CAST(:keeping AS text[])
    FROM (SELECT to_jsonb(t) AS body FROM {theirs} AS t) AS theirs
) AS differing ORDER BY row_id
"""

# By the parent the past finds rows; it is sealed only within the image.
_MISPLACED = """
SELECT h.id FROM legal_history AS h
JOIN unnest(CAST(:tables AS text[]), CAST(:parents AS text[])) AS known (table_name, parent)
    ON known.table_name = h.table_name
WHERE h.image IS NOT NULL AND h.parent_id::text IS DISTINCT FROM h.image ->> known.parent
ORDER BY h.id
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that was changed, added or taken away behind the history's back."""

    table: str
    row_id: str

    def __str__(self) -> str:
        return f"Row {self.row_id} of {self.table} is not what the history last recorded"


def differences(session: Session) -> Iterator[Difference]:
    """Find the rows of legal and sealed tables that differ from what was last recorded of them.

    Nothing that is stored in the database, view or function, is believed here.
    """
    for table in KEPT_TABLES:
        for row_id in differing_rows(session, table):
            yield Difference(table.name, row_id)


def differing_rows(session: Session, table: LegalTable | SealedTable) -> list[str]:
    """List the rows of one table that were changed, added or taken away past the history."""
    connection = session.connection()
    if isinstance(table, SealedTable):
        return sealed.differing_rows(connection, table, columns_of(connection, table.name))
    found = set()
    sides = f"public.{table.name}", f"({newest_images(connection, table)})"
    for ours, theirs in (sides, sides[::-1]):
        rows = connection.execute(
            text(_DIFFERING.format(ours=ours, theirs=theirs, row_id=_row_id(table))),
            {"keeping": list(table.keeping)},
        )
        found |= {str(row_id) for row_id in rows.scalars()}
    return sorted(found)


def _row_id(table: LegalTable) -> str:
    """Give what `legal_row_id` makes of a row."""
    parts = [f"(body ->> '{name}')" for name in table.key]
    if len(parts) == 1:
        return f"{parts[0]}::uuid"
    joined = " || '/' || ".join(parts)
    return f"md5({joined})::uuid"


def misplaced(session: Session) -> Iterator[str]:
    """Find images that stand under another parent than they name."""
    rows = session.connection().execute(
        text(_MISPLACED),
        {
            "tables": [table.name for table in LEGAL_TABLES],
            "parents": [table.parent for table in LEGAL_TABLES],
        },
    )
    for image_id in rows.scalars():
        yield f"Row {image_id} of legal_history: its parent_id is not that of its image"


def covering_less(session: Session) -> Iterator[str]:
    """Find images of sealed rows that cover less of them than those before."""
    connection = session.connection()
    for table in SEALED_TABLES:
        for image_id in sealed.covering_less(connection, table, columns_of(connection, table.name)):
            yield (
                f"Row {image_id} of legal_history: it leaves out columns of {table.name} that were"
                " sealed before"
            )


def replaced(session: Session) -> Iterator[str]:
    """Find views of the past, triggers and their function that are not of this version."""
    connection = session.connection()
    if not sealed.function_stands(connection):
        yield f"The function {sealed.FUNCTION} is gone, or not what the register put up"
    for table, trigger in differing_triggers(connection):
        yield f"The trigger {trigger} of {table} is gone, idle, or not what the register put up"
    # What it writes, a view at a time, is taken back.
    with connection.engine.connect() as scratch:
        for name in differing_views(scratch):
            yield f"The view {name} of the past is not what the register put up"
        scratch.rollback()

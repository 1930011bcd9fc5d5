"""Holding the register against its own history: what stands in a table is its newest image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import text
from sqlmodel import Session

from registry.history.tables import LEGAL_TABLES

# What a row says, without how it is kept: the past takes that from the row of today.
_DIFFERING = """
SELECT row_id FROM (
    SELECT legal_row_id(body, :keys) AS row_id, body - CAST(:keeping AS text[]) AS said
    FROM (SELECT to_jsonb(t) AS body FROM {ours} AS t) AS ours
    EXCEPT
    SELECT legal_row_id(body, :keys), body - CAST(:keeping AS text[])
    FROM (SELECT to_jsonb(t) AS body FROM {theirs} AS t) AS theirs
) AS differing ORDER BY row_id
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """A row that was changed, added or taken away behind the history's back."""

    table: str
    row_id: str

    def __str__(self) -> str:
        return f"Row {self.row_id} of {self.table} is not what the history last recorded"


def differences(session: Session) -> Iterator[Difference]:
    """Find the rows of legal tables that differ from their newest images."""
    connection = session.connection()
    connection.execute(text("SELECT set_config('milkiyat.known_at', 'infinity', true)"))
    for table in LEGAL_TABLES:
        found = set()
        for ours, theirs in (("public", "past"), ("past", "public")):
            rows = connection.execute(
                text(
                    _DIFFERING.format(ours=f"{ours}.{table.name}", theirs=f"{theirs}.{table.name}")
                ),
                {"keys": list(table.key), "keeping": list(table.keeping)},
            )
            found |= {str(row_id) for row_id in rows.scalars()}
        for row_id in sorted(found):
            yield Difference(table.name, row_id)

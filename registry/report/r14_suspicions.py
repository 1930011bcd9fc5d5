"""R-14: cases of suspicion; never for whom they are about (AMLA 2010 s.7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from pydantic import Field
from sqlalchemy import text
from sqlmodel import Session

from registry.filing.models import StrState
from registry.filing.suspicion import READERS
from registry.report.people import name_column, people_of
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.report import Parameters as Asked
from registry.report.subjects import as_recorded


class Parameters(Asked):
    """Which cases."""

    state: Annotated[StrState | None, Field(description="As it was at `as_of`")] = None


COLUMNS = (
    Column("case", Kind.ID),
    Column("party", Kind.ID),
    name_column("name"),
    Column("indicators"),
    Column("alerts", Kind.COUNT),
    Column("opened", Kind.TIME),
    Column("state"),
    Column("filed", Kind.TIME),
    Column("goaml_reference"),
    Column("maker"),
    Column("decided_by"),
)

# Whoever asks may be whom a case is about: for them it does not exist.
_CASES = text("""
SELECT s.id, s.party_id, s.indicators, jsonb_array_length(s.alert_ids) AS alerts, s.recorded_at,
  s.state, s.decided_at, s.filed_reference, s.maker, s.decided_by
FROM str_case s
WHERE s.id > :after AND (CAST(:state AS text) IS NULL OR s.state = :state)
  AND NOT EXISTS (
    SELECT FROM investor i WHERE i.party_id = s.party_id AND i.subject = :reader)
ORDER BY s.id LIMIT :limit
""")


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    asked = {
        "after": question.after[0] if question.after else UUID(int=0),
        "state": question.parameters.state,
        "reader": question.reader,
        "limit": question.fetch,
    }
    with as_recorded(session, question):
        found = session.execute(_CASES, asked).all()
    people = people_of(session, question, {row.party_id for row in found})
    for row in found:
        yield Row(
            (str(row.id),),
            (row.id, row.party_id, people[row.party_id].name, "; ".join(row.indicators),
             row.alerts, row.recorded_at, row.state,
             row.decided_at if row.filed_reference else None, row.filed_reference, row.maker,
             row.decided_by),
        )  # fmt: skip


SUSPICIONS = Report(
    code="R-14",
    title="STR case list",
    title_ur="مشکوک لین دین کے مقدمات کی فہرست",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
    restricted_to=READERS,
)

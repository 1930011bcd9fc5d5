"""R-26: complaints, incidents and outages, from when to when, and what was lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field
from sqlalchemy import text
from sqlmodel import Session

from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.report import Parameters as Asked
from registry.report.subjects import as_recorded


class Parameters(Asked):
    """Of which period."""

    since: Annotated[
        AwareDatetime | None,
        Field(description="What was open then, or came later; the period ends at `as_of`"),
    ] = None


COLUMNS = (
    Column("id", Kind.ID),
    Column("what"),
    Column("kind"),
    Column("severity"),
    Column("state"),
    Column("opened", Kind.TIME),
    Column("ended", Kind.TIME, says="When an incident was felt no more; its cause comes later"),
    Column("closed", Kind.TIME),
    Column("loss", Kind.MONEY),
    Column("answer"),
)

_ALL = text("""
SELECT id, what, kind, severity, state, opened, ended, closed, loss_paisa, answer, party_id FROM (
  SELECT id, 'COMPLAINT' AS what, kind, NULL AS severity, state, received_at AS opened,
    CAST(NULL AS timestamptz) AS ended, closed_at AS closed, loss_paisa, answer, party_id
  FROM complaint
  UNION ALL
  SELECT id, 'INCIDENT', kind, severity, state, began_at, ended_at, closed_at, loss_paisa, cause,
    NULL FROM incident) x
WHERE id > :after AND opened <= :moment
  AND (closed IS NULL OR closed >= coalesce(CAST(:since AS timestamptz), '-infinity'))
ORDER BY id LIMIT :limit
""")


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    with as_recorded(session, question) as moment:
        asked = {
            "after": question.after[0] if question.after else UUID(int=0),
            "moment": moment,
            "since": question.parameters.since,
            "limit": question.fetch,
        }
        found = session.execute(_ALL, asked).all()
    for row in found:
        if row.party_id is not None:
            question.parties.add(row.party_id)
        yield Row((str(row.id),), tuple(row)[: len(COLUMNS)])


COMPLAINTS = Report(
    code="R-26",
    title="Complaints, incidents and outages",
    title_ur="شکایات، واقعات اور تعطل",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
)

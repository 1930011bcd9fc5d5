"""R-24: who looked at what: every reading of personal data and of reports, with its reasons."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field
from sqlalchemy import text
from sqlmodel import Session

from registry.investor.service import find_own_party
from registry.journal.models import READING
from registry.journal.untold import OF_SUSPICION, OF_WATCH
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.report import Parameters as Asked


class Parameters(Asked):
    """Whose readings, or of whom."""

    actor: Annotated[str | None, Field(max_length=200, description="Who looked")] = None
    subject: Annotated[
        str | None, Field(max_length=100, description="Id of a party, or of what was read")
    ] = None
    since: Annotated[
        AwareDatetime | None, Field(description="The beginning; it ends at `as_of`")
    ] = None


COLUMNS = (
    Column("entry", Kind.ID),
    Column("time", Kind.TIME),
    Column("person"),
    Column("act"),
    Column("subject_kind"),
    Column("subject"),
    Column("purpose"),
    Column("legal_basis"),
    Column("roles"),
    Column("revealed", Kind.FLAG),
    Column("rows", Kind.COUNT),
    Column("parties", Kind.COUNT),
)

_READINGS = text(f"""
SELECT e.id, e.recorded_at, e.actor, e.act, e.subject_kind, e.subject_id,
  e.facts ->> 'purpose', e.facts ->> 'legal_basis',
  (SELECT string_agg(role, ', ') FROM jsonb_array_elements_text(e.facts -> 'roles') AS role),
  CAST(e.facts ->> 'revealed' AS boolean),
  CAST(e.facts ->> 'rows' AS int), CAST(e.facts ->> 'party_count' AS int)
FROM journal_entry e WHERE {READING} AND e.id > :after
  AND e.recorded_at <= :until
  AND e.recorded_at >= coalesce(CAST(:since AS timestamptz), '-infinity')
  AND (CAST(:actor AS text) IS NULL OR e.actor = :actor)
  AND (CAST(:subject AS text) IS NULL OR e.subject_id = :subject
    OR e.facts -> 'parties' @> to_jsonb(CAST(:subject AS text)))
  AND (:tells_suspicions OR NOT {OF_SUSPICION})
  AND NOT (({OF_SUSPICION} OR {OF_WATCH}) AND e.facts -> 'parties' @> to_jsonb(CAST(:own AS text)))
ORDER BY e.id LIMIT :limit
""")  # noqa: S608 - acts of our own


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    asked = {
        "after": question.after[0] if question.after else UUID(int=0),
        "until": min(question.moment, question.known_at),
        "since": question.parameters.since,
        "actor": question.parameters.actor,
        "subject": question.parameters.subject,
        "tells_suspicions": question.tells_suspicions,
        "own": str(find_own_party(session, question.reader)),
        "limit": question.fetch,
    }
    for row in session.execute(_READINGS, asked):
        yield Row((str(row[0]),), tuple(row))


WHO_LOOKED = Report(
    code="R-24",
    title="Who looked at what",
    title_ur="کس نے کیا دیکھا",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
)

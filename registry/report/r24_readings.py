"""R-24: who looked at what: every reading of personal data and of reports, with its reasons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field
from sqlalchemy import TextClause, text
from sqlmodel import Session, col, select

from registry.investor.service import find_own_party
from registry.journal.models import READING
from registry.journal.untold import OF_SUSPICION, OF_WATCH
from registry.party.models import Party
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

# Of more parties than one entry names, further ones name the others: the first is the reading.
_NAMING = f"""
SELECT coalesce(CAST(facts ->> 'continues' AS uuid), id) AS id FROM journal_entry
WHERE {READING} AND facts -> 'parties' @> to_jsonb(CAST({{party}} AS text))
"""  # noqa: S608 - acts of our own
# Whoever asks is told of no reading that may tell them of a suspicion of themselves.
_HIDDEN = f"""
WITH hidden AS MATERIALIZED (
  {_NAMING.format(party=":own")} AND ({OF_SUSPICION} OR {OF_WATCH}))
"""
_MATCHES = f"""
{READING} AND e.id > :after AND e.facts ->> 'continues' IS NULL
  AND e.recorded_at <= :until
  AND e.recorded_at >= coalesce(CAST(:since AS timestamptz), '-infinity')
  AND (CAST(:actor AS text) IS NULL OR e.actor = :actor)
  AND (:tells_suspicions OR NOT {OF_SUSPICION})
  AND e.id NOT IN (SELECT id FROM hidden)
"""  # noqa: S608
_ALL = f"SELECT e.* FROM journal_entry e WHERE {_MATCHES}"  # noqa: S608
_FIRST = "ORDER BY e.id LIMIT :limit"
# In two arms, each with its index: an OR of both walks all readings there are.
_OF_SUBJECT = f"""
(SELECT e.* FROM journal_entry e WHERE e.subject_id = :subject AND {_MATCHES} {_FIRST})
UNION
(SELECT e.* FROM ({_NAMING.format(party=":subject")}) named JOIN journal_entry e ON e.id = named.id
  WHERE {_MATCHES} {_FIRST})
"""  # noqa: S608


def _query(found: str) -> TextClause:
    return text(f"""
{_HIDDEN}
SELECT e.id, e.recorded_at, e.actor, e.act, e.subject_kind, e.subject_id,
  e.facts ->> 'purpose', e.facts ->> 'legal_basis',
  (SELECT string_agg(role, ', ') FROM jsonb_array_elements_text(e.facts -> 'roles') AS role),
  CAST(e.facts ->> 'revealed' AS boolean),
  CAST(e.facts ->> 'rows' AS int), CAST(e.facts ->> 'party_count' AS int)
FROM ({found}) e {_FIRST}
""")  # noqa: S608


_READINGS, _READINGS_OF = _query(_ALL), _query(_OF_SUBJECT)


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
    query = _READINGS if question.parameters.subject is None else _READINGS_OF
    # Who looked at somebody, and why, tells of them.
    question.parties.update(_parties_of(session, question.parameters.subject))
    for row in session.execute(query, asked):
        yield Row((str(row[0]),), tuple(row))


def _parties_of(session: Session, subject: str | None) -> Sequence[UUID]:
    try:
        party_id = UUID(subject or "")
    except ValueError:
        return ()
    return session.exec(select(Party.id).where(col(Party.id) == party_id)).all()


WHO_LOOKED = Report(
    code="R-24",
    title="Who looked at what",
    title_ur="کس نے کیا دیکھا",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
    # Whoever reads on is a reading too, which another page would tell of.
    of_one_moment=True,
)

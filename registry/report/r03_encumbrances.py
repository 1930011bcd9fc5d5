"""R-03: the encumbrance certificate: what weighs on a title, and what ever did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated
from uuid import UUID

from pydantic import Field
from sqlalchemy import text
from sqlmodel import Session

from registry.report.people import name_column, people_of
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.subjects import OfAsset, as_recorded, asset_of


class Parameters(OfAsset):
    """Which title, and whether what no longer binds is wanted too."""

    in_force: Annotated[bool, Field(description="Only those that bind at `as_of`")] = False


COLUMNS = (
    Column("encumbrance", Kind.ID),
    Column("kind"),
    Column("rank", Kind.COUNT),
    Column("amount", Kind.MONEY),
    name_column("holder"),
    Column("authority"),
    Column("case_no"),
    Column("valid_from", Kind.TIME),
    Column("valid_to", Kind.TIME),
    Column("state"),
    Column("effect"),
)

# On the terms that bound then; of what nobody has put in force yet, on those that were lodged.
_ENCUMBRANCES = text("""
SELECT e.id, e.kind, coalesce(t.rank, e.rank) AS rank,
  coalesce(t.amount_paisa, e.amount_paisa) AS amount_paisa,
  coalesce(t.holder_id, e.holder_id) AS holder_id,
  e.authority, e.case_no, e.valid_from,
  CASE WHEN e.valid_to <= :moment THEN e.valid_to END AS valid_to,
  coalesce(t.effect, e.effect) AS effect
FROM encumbrance e LEFT JOIN LATERAL (
  SELECT rank, amount_paisa, holder_id, effect FROM encumbrance_terms
  WHERE encumbrance_id = e.id AND valid_from <= :moment ORDER BY seq DESC LIMIT 1) t ON true
WHERE e.title_id = :title AND e.id > :after
  AND coalesce(e.valid_from, e.recorded_at) <= :moment
  AND (NOT :in_force OR e.valid_from <= :moment
    AND (e.valid_to IS NULL OR e.valid_to > :moment))
ORDER BY e.id LIMIT :limit
""")
_STATES = text("SELECT id, state FROM encumbrance WHERE title_id = :title")


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    _, title = asset_of(session, question)
    asked = {
        "title": title.id,
        "moment": question.moment,
        "in_force": question.parameters.in_force,
        "after": question.after[0] if question.after else UUID(int=0),
        "limit": question.fetch,
    }
    found = session.execute(_ENCUMBRANCES, asked).all()
    with as_recorded(session, question):
        states = {row.id: row.state for row in session.execute(_STATES, {"title": title.id})}
    people = people_of(session, question, {row.holder_id for row in found})
    for row in found:
        yield Row(
            (str(row.id),),
            (row.id, row.kind, row.rank, row.amount_paisa, people[row.holder_id].name,
             row.authority, row.case_no, row.valid_from, row.valid_to, states.get(row.id),
             row.effect),
        )  # fmt: skip


ENCUMBRANCES = Report(
    code="R-03",
    title="Encumbrance certificate",
    title_ur="بار کا سرٹیفکیٹ",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
)

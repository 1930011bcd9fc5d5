"""R-20: the endorsement chain of an electronic bill of lading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field
from sqlalchemy import text
from sqlmodel import Session

from registry.kernel.errors import NotFound
from registry.report.people import name_column, people_of
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.report import Parameters as Asked
from registry.report.subjects import as_recorded


class Parameters(Asked):
    """Which bill."""

    reference: Annotated[
        str, Field(min_length=1, max_length=20, description="transportDocumentReference")
    ]
    carrier: Annotated[str | None, Field(max_length=4, description="SCAC, where several")] = None


COLUMNS = (
    Column("bill", Kind.ID),
    Column("carrier"),
    Column("chain", Kind.COUNT),
    Column("seq", Kind.COUNT),
    Column("action"),
    Column("actor"),
    name_column("from"),
    name_column("recipient"),
    Column("at", Kind.TIME),
    Column("platform"),
)
PLATFORM = "Milkiyat"
"""Where every entry of these chains was made."""

_BILLS = text("""
SELECT count(*) FROM bill_of_lading
WHERE reference = :reference AND (CAST(:carrier AS text) IS NULL OR carrier = :carrier)
""")
_CHAIN = text("""
SELECT b.id, b.carrier, e.chain_no, e.seq, e.action, e.actor, e.from_party_id, e.to_party_id,
  e.recorded_at
FROM bill_of_lading b JOIN bill_endorsement e ON e.bill_id = b.id
WHERE b.reference = :reference AND (CAST(:carrier AS text) IS NULL OR b.carrier = :carrier)
  AND (b.carrier, e.chain_no, e.seq) > (:after_carrier, :after_chain, :after_seq)
ORDER BY b.carrier, e.chain_no, e.seq LIMIT :limit
""")


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    carrier, chain, seq = question.after or ("", 0, 0)
    asked = {
        "reference": question.parameters.reference,
        "carrier": question.parameters.carrier,
        "after_carrier": carrier,
        "after_chain": chain,
        "after_seq": seq,
        "limit": question.fetch,
    }
    with as_recorded(session, question):
        known = session.execute(_BILLS, asked).scalar_one()
        found = session.execute(_CHAIN, asked).all()
    if not known:
        raise NotFound("bill of lading", question.parameters.reference)
    sides = {party for row in found for party in (row.from_party_id, row.to_party_id)}
    people = people_of(session, question, sides)
    for row in found:
        yield Row(
            (row.carrier, row.chain_no, row.seq),
            (row.id, row.carrier, row.chain_no, row.seq, row.action, row.actor,
             people[row.from_party_id].name, people[row.to_party_id].name, row.recorded_at,
             PLATFORM),
        )  # fmt: skip


ENDORSEMENTS = Report(
    code="R-20",
    title="Bill of lading endorsement chain",
    title_ur="بل آف لیڈنگ کی توثیقات کا سلسلہ",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
)

"""R-02: every version of a title that was recorded, and between whom each share passed."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated
from uuid import UUID

from pydantic import AwareDatetime, Field
from sqlalchemy import text
from sqlmodel import Session

from registry.report.people import name_column, people_of
from registry.report.proofs import DEED, deeds_of
from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.subjects import OfAsset, asset_of


class Parameters(OfAsset):
    """Which title, and rights that began when."""

    begun_from: Annotated[AwareDatetime | None, Field(description="Rights that began then")] = None
    begun_to: Annotated[AwareDatetime | None, Field(description="Or before this time")] = None


COLUMNS = (
    Column("version", Kind.COUNT),
    Column("valid_from", Kind.TIME),
    Column("valid_to", Kind.TIME),
    Column("recorded_at", Kind.TIME),
    Column("superseded_at", Kind.TIME),
    name_column("transferor"),
    name_column("transferee"),
    Column("share", Kind.FRACTION),
    Column("basis"),
    Column("mutation_kind"),
    Column("mutation_no"),
    DEED,
    Column("maker"),
    Column("checker"),
    Column("officer"),
)

# A first right, and what a division makes, has no seller: its owners are those to whom it passed.
# So has what records a burden only, or is brought back: its owners took before.
_HISTORY = text("""
SELECT v.seq, v.valid_from, v.valid_to, v.recorded_at,
  CASE WHEN v.superseded_at <= :known THEN v.superseded_at END,
  v.basis, m.kind, m.number, v.maker, v.checker, m.revenue_officer,
  p.place, p.party_id, p.hissa, p.kul_hissay,
  v.id AS version_id, p.passes, coalesce(m.deed_no, m.misl_no) AS deed
FROM title_version v LEFT JOIN mutation m ON m.id = v.mutation_id
CROSS JOIN LATERAL (
  SELECT CASE part WHEN 'SELLER' THEN 1 ELSE 2 END AS place, party_id, hissa, m.kul_hissay,
    true AS passes
  FROM mutation_party WHERE mutation_id = m.id AND part <> 'WITNESS'
  UNION ALL
  SELECT 2, party_id, hissa, v.kul_hissay, false FROM title_share
  WHERE version_id = v.id AND NOT EXISTS (
    SELECT FROM mutation_party WHERE mutation_id = m.id AND part <> 'WITNESS')) p
WHERE v.title_id = :title AND v.recorded_at <= :known AND v.valid_from <= :moment
  AND v.valid_from >= coalesce(CAST(:begun_from AS timestamptz), '-infinity')
  AND v.valid_from < coalesce(CAST(:begun_to AS timestamptz), 'infinity')
  AND (v.seq, p.place, p.party_id) > (:seq, :place, :party)
ORDER BY v.seq, p.place, p.party_id LIMIT :limit
""")
_SELLER = 1


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    asset, title = asset_of(session, question)
    seq, place, party = question.after or (0, 0, str(UUID(int=0)))
    asked = {
        "title": title.id, "known": question.known_at, "moment": question.moment,
        "begun_from": question.parameters.begun_from, "begun_to": question.parameters.begun_to,
        "seq": seq, "place": place, "party": party, "limit": question.fetch,
    }  # fmt: skip
    found = session.execute(_HISTORY, asked).all()
    parties = {row.party_id for row in found}
    deeds = deeds_of(session, question, (asset, title), parties)
    people = people_of(session, question, parties)
    for row in found:
        seq, times, by, officers = row[0], row[1:5], row[5:8], row[8:11]
        deed = row.deed if row.passes else deeds.of(row.version_id, row.party_id)
        name = people[row.party_id].name
        sides = (name, None) if row.place == _SELLER else (None, name)
        share = Fraction(row.hissa, row.kul_hissay)
        yield Row(
            (seq, row.place, str(row.party_id)),
            (seq, *times, *sides, share, *by, deed, *officers),
        )


OWNERSHIP_HISTORY = Report(
    code="R-02",
    title="Ownership history",
    title_ur="ملکیت کی تاریخ",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
)

"""R-17: titles in dispute and assets that are suspended: why, since when, and whom it touches."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from pydantic import Field
from sqlalchemy import text
from sqlmodel import Session, col, select

from registry.kernel.rows import among
from registry.ownership.holders import holders_at
from registry.report.report import Column, Kind, Parameters, Question, Report, Row
from registry.report.subjects import as_recorded
from registry.report.worth import worth_of
from registry.tokenization.models import Tokenization


class ByAge(Parameters):
    """How old at least."""

    min_age_days: Annotated[int, Field(ge=0, le=36_500, description="Open at least so long")] = 0


COLUMNS = (
    Column("asset"),
    Column("asset_class"),
    Column("asset_state"),
    Column("title_state"),
    Column("cause"),
    Column("reference"),
    Column("by_court", Kind.FLAG),
    Column("since", Kind.TIME),
    Column("age_days", Kind.COUNT),
    Column("holders_affected", Kind.COUNT),
    Column("value", Kind.MONEY),
    Column("valued_on", Kind.DATE),
)

# A title in dispute is told by its state, and since when by the journal. An asset whose causes are
# all closed is still suspended, until two people reinstate it.
_OPEN = text("""
SELECT * FROM (
  SELECT a.id, a.code, a.asset_class, a.state AS asset_state, t.state AS title_state,
    c.kind AS cause, c.reference, c.by_court, c.recorded_at AS since
  FROM suspension_cause c JOIN asset a ON a.id = c.asset_id JOIN title t ON t.asset_id = a.id
  WHERE c.closed_at IS NULL
  UNION ALL
  SELECT a.id, a.code, a.asset_class, a.state, t.state, 'TITLE_DISPUTE', j.reference, NULL,
    coalesce(j.since, t.recorded_at)
  FROM title t JOIN asset a ON a.id = t.asset_id
  LEFT JOIN LATERAL (
    SELECT facts ->> 'reference' AS reference, recorded_at AS since FROM journal_entry
    WHERE subject_id = t.id::text AND act = 'title_dispute' AND recorded_at <= :until
    ORDER BY recorded_at DESC LIMIT 1) j ON true
  WHERE t.state = 'DISPUTED'
  UNION ALL
  SELECT a.id, a.code, a.asset_class, a.state, t.state, 'AWAITS_REINSTATEMENT', '', NULL,
    (SELECT max(closed_at) FROM suspension_cause WHERE asset_id = a.id)
  FROM asset a JOIN title t ON t.asset_id = a.id
  WHERE a.state = 'SUSPENDED' AND NOT EXISTS (
    SELECT FROM suspension_cause WHERE asset_id = a.id AND closed_at IS NULL)
) o
WHERE (o.id, o.cause, coalesce(o.reference, '')) > (CAST(:id AS uuid), :cause, :reference)
  AND o.since <= :latest
ORDER BY o.id, o.cause, coalesce(o.reference, '') LIMIT :limit
""")
_OWNERS = text("""
SELECT t.asset_id, count(DISTINCT s.party_id)
FROM title t JOIN title_version v ON v.title_id = t.id JOIN title_share s ON s.version_id = v.id
WHERE t.asset_id = ANY(CAST(:assets AS uuid[])) AND v.superseded_at IS NULL
  AND v.valid_from <= :moment AND (v.valid_to IS NULL OR v.valid_to > :moment)
GROUP BY t.asset_id
""")


def _rows(session: Session, question: Question[ByAge]) -> Iterator[Row]:
    after, cause, reference = question.after or (str(UUID(int=0)), "", "")
    oldest = timedelta(days=question.parameters.min_age_days)
    with as_recorded(session, question) as until:
        asked = {
            "id": after, "cause": cause, "reference": reference, "until": until,
            "latest": question.moment - oldest, "limit": question.fetch,
        }  # fmt: skip
        found = session.execute(_OPEN, asked).all()
    assets = {row.id for row in found}
    values = {
        asset_id: (worth.amount_paisa, worth.basis_date)
        for asset_id, worth in worth_of(session, question, assets).items()
    }
    touched = _touched(session, question, assets)
    for row in found:
        age = (question.moment - row.since).days
        yield Row(
            (str(row.id), row.cause, row.reference or ""),
            (*row[1:9], age, touched.get(row.id, 0), *values.get(row.id, (None, None))),
        )


def _touched(
    session: Session, question: Question[ByAge], assets: Collection[UUID]
) -> Mapping[UUID, int]:
    """Count the wallets that hold of an asset's token; where there is none, the title's owners."""
    asked = {"assets": list(assets), "moment": question.moment}
    counts = {asset_id: int(count) for asset_id, count in session.execute(_OWNERS, asked)}
    tokens = select(Tokenization).where(among(col(Tokenization.asset_id), assets))
    for tokenization in session.exec(tokens.order_by(col(Tokenization.id))):
        held = holders_at(session, tokenization, question.block)
        if held:
            counts[tokenization.asset_id] = held
    return counts


DISPUTES = Report(
    code="R-17",
    title="Title disputes and suspended assets",
    title_ur="ملکیت کے تنازعات اور معطل اثاثے",
    parameters=ByAge,
    columns=COLUMNS,
    rows=_rows,
    counts_holders=True,
)

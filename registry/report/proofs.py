"""By which papers the first owners took: a title that came with its dossier has no mutation."""

from __future__ import annotations

from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from registry.asset.law import law_of
from registry.asset.models import Asset
from registry.report.report import Column, Question
from registry.report.subjects import as_recorded
from registry.title.models import Title

DEED = Column(
    "deed",
    says="Number of the deed or of the court's file; of a right that came with its dossier, the"
    " papers that prove it: reference, office, day",
)

# What a mutation rests on, or was filed since the first one was entered, is of a later right. One
# that has run out since proved the right all the same.
_PROOFS = text("""
SELECT string_agg(concat_ws(', ', coalesce(d.issuer_ref, d.source_reference),
  coalesce(d.issuer, d.source_registry), d.issued_on), '; ' ORDER BY d.id)
FROM document d
WHERE d.asset_id = :asset AND d.kind = ANY(:proofs) AND d.state IN ('VERIFIED', 'EXPIRED')
  AND d.verified_at <= :moment
  AND d.recorded_at < coalesce((
    SELECT min(m.recorded_at) FROM title_version v JOIN mutation m ON m.id = v.mutation_id
    WHERE v.title_id = :title), 'infinity')
  AND NOT EXISTS (
    SELECT FROM mutation m WHERE m.title_id = :title AND m.source_document_id = d.id)
""")


def proofs_of_first_right(
    session: Session, question: Question[Any], asset: Asset, title: Title
) -> str | None:
    """Name the verified papers that prove it: reference, office and day of each."""
    asked = {
        "asset": asset.id, "title": title.id, "moment": question.moment,
        "proofs": sorted(law_of(asset).regime.title_proof),
    }  # fmt: skip
    with as_recorded(session, question):
        return session.execute(_PROOFS, asked).scalar()

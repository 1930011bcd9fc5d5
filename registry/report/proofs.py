"""By which paper each owner of a title took: the deed of a transfer, or what proved the dossier.

`registry.mutation.instruments` asks the same of one version, to let it be tokenized (ADR 0065).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlmodel import Session

from registry.asset.law import law_of
from registry.asset.models import Asset
from registry.mutation.rules import DIVISIONS, TRANSFERS
from registry.report.report import Column, Question
from registry.report.subjects import as_recorded
from registry.title.models import Title

DEED = Column(
    "deed",
    says="Number of the deed or of the court's file by which the owner took last; of a right that"
    " came with its dossier, the papers that prove it: reference, office, day",
)

# What was filed once the title was in force is of a later right, save in place of a paper of the
# first; and so is what a mutation rests on. One that has run out or was renewed since proved the
# right all the same, and is named as it was then.
_PROOFS = text("""
WITH RECURSIVE began AS (
  SELECT coalesce(min(recorded_at), 'infinity') AS at FROM journal_entry
  WHERE subject_id = CAST(:title AS text) AND act = 'title_activate'),
papers AS MATERIALIZED (
  SELECT id, replaces_id, state, verified_at, recorded_at, issued_on,
    coalesce(issuer_ref, source_reference) AS reference, coalesce(issuer, source_registry) AS office
  FROM document WHERE asset_id = :asset AND kind = ANY(:proofs)),
first AS (
  SELECT d.* FROM papers d, began WHERE d.recorded_at < began.at
  UNION
  SELECT n.* FROM papers n JOIN first f ON n.replaces_id = f.id),
proven AS (
  SELECT d.* FROM first d
  WHERE d.state IN ('VERIFIED', 'EXPIRED', 'SUPERSEDED') AND d.verified_at <= :moment
    AND NOT EXISTS (
      SELECT FROM mutation m WHERE m.title_id = :title AND m.source_document_id = d.id)),
standing AS (
  SELECT d.* FROM proven d, began WHERE NOT EXISTS (
    SELECT FROM proven n WHERE n.replaces_id = d.id AND n.verified_at < began.at))
SELECT string_agg(concat_ws(', ', d.reference, d.office, d.issued_on), '; ' ORDER BY d.id)
FROM standing d
WHERE NOT EXISTS (SELECT FROM standing o WHERE o.id = d.replaces_id)
""")

# What only records a burden, or rewrites the whole, passes nothing to anybody; a reversal brings
# back what was before the mutation that it undoes.
_TAKEN = text("""
SELECT v.id, m.kind = ANY(:divisions) AS is_division, coalesce(m.deed_no, m.misl_no) AS deed,
  coalesce(u.version_id, m.version_id) AS before,
  ARRAY(SELECT p.party_id FROM mutation_party p
    WHERE p.mutation_id = m.id AND p.part = 'BUYER' AND p.party_id = ANY(:parties)
      AND m.kind = ANY(:transfers) AND u.id IS NULL) AS buyers
FROM title_version v JOIN mutation m ON m.id = v.mutation_id
LEFT JOIN mutation u ON u.id = m.reverses_id
WHERE v.title_id = :title
""")
_KINDS = {
    "divisions": [kind.value for kind in DIVISIONS],
    "transfers": [kind.value for kind in TRANSFERS],
}


@dataclass(frozen=True, slots=True)
class Deeds:
    """By which papers owners took, at each version of a title.

    Parameters
    ----------
    proofs
        Of the first right; None where nothing verified proves it.
    taken
        By version, the mutation that wrote it; none of those that came with the dossier.
    """

    proofs: str | None
    taken: Mapping[UUID, Any]

    def of(self, version_id: UUID, owner_id: UUID) -> str | None:
        """Name that by which an owner of the version took last; by word of mouth it is None."""
        while (by := self.taken.get(version_id)) is not None:
            if owner_id in by.buyers:
                return str(by.deed) if by.deed else None
            if by.is_division:
                # What comes out of it has a dossier of its own.
                return str(by.deed) if by.deed else self.proofs
            version_id = by.before
        return self.proofs


def deeds_of(
    session: Session, question: Question[Any], owned: tuple[Asset, Title], parties: Collection[UUID]
) -> Deeds:
    """Find by which papers these parties took what they own of a title."""
    asset, title = owned
    asked = {"title": title.id, "parties": list(parties)}
    taken = session.execute(_TAKEN, asked | _KINDS)
    proofs = _proofs_of_first_right(session, question, asset, title)
    return Deeds(proofs, {row.id: row for row in taken})


def _proofs_of_first_right(
    session: Session, question: Question[Any], asset: Asset, title: Title
) -> str | None:
    """Name the verified papers that prove it: reference, office and day of each."""
    asked = {
        "asset": asset.id, "title": title.id, "moment": question.moment,
        "proofs": sorted(law_of(asset).regime.title_proof),
    }  # fmt: skip
    with as_recorded(session, question):
        return session.execute(_PROOFS, asked).scalar()

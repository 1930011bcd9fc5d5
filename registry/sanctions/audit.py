"""Holding the notes of who was screened against the list that counts: whoever matches has a hit.

The note of a party alone decides whether it is screened again, and every run writes all of them
anew. So they are not sealed, and not believed: whoever is noted as screened is screened once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlmodel import Session, col, select

from registry.kernel.rows import among, in_pages
from registry.kernel.vault import SealBroken, Vault
from registry.party.models import Party
from registry.sanctions.lists import WAITS, find_current
from registry.sanctions.models import SanctionsHit, SanctionsList, SanctionsScreening
from registry.sanctions.screening import Read, matches_of, of_screened, read_index

BATCH = 500


def passed_over(session: Session, vault: Vault) -> Iterator[str]:
    """Find parties that are noted as screened, and were not."""
    # Nobody is screened against an edition before it counts.
    beforehand = (
        select(SanctionsScreening.party_id)
        .join(SanctionsList, col(SanctionsList.id) == col(SanctionsScreening.list_id))
        .where(WAITS)
        .order_by(col(SanctionsScreening.party_id))
    )
    for party_id in session.exec(beforehand).all():
        yield f"Row {party_id} of sanctions_screening names an edition that does not count yet"
    edition = find_current(session)
    if edition is None:
        return
    read = read_index(session, edition)
    for rows in in_pages(session, of_screened(edition), col(Party.id), size=BATCH):
        yield from _passed_over(session, vault, rows, read)


def _passed_over(
    session: Session, vault: Vault, rows: Sequence[Party], read: Read
) -> Iterator[str]:
    hits = session.exec(
        select(
            SanctionsHit.party_id,
            SanctionsHit.reference,
            SanctionsHit.entry_sha256,
            SanctionsHit.party_print,
        ).where(among(col(SanctionsHit.party_id), [row.id for row in rows]))
    ).all()
    known = {(party_id, ref, bytes(sha256), bytes(said)) for party_id, ref, sha256, said in hits}
    before = {hit[:3] for hit in known}
    for row in rows:
        try:
            said, found = matches_of(vault, row, read)
        except SealBroken:
            # `registry.party.audit` names the party.
            continue
        for entry, _ in found:
            pair = (row.id, entry.reference, entry.entry_sha256)
            if (*pair, said) not in known:
                # The hash of what is compared is keyed.
                maybe = ", or PII_INDEX_KEY was changed since" * (pair in before)
                yield (
                    f"Row {row.id} of sanctions_screening says that the party was screened: it "
                    f"matches entry {entry.reference}, and has no hit of that{maybe}"
                )

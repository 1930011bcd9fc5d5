"""Holding certificates against the journal: whether what is kept of one is what was issued."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, select

from registry.certificate.models import Certificate
from registry.certificate.service import ISSUED, content_of
from registry.journal.models import JournalEntry
from registry.kernel.errors import Conflict
from registry.kernel.rows import in_pages
from registry.kernel.vault import SealBroken, Vault

BATCH = 200


def altered(session: Session, vault: Vault) -> Iterator[str]:
    """Find certificates whose content, or hash, is not that which the journal says was issued."""
    for rows in in_pages(session, select(Certificate), col(Certificate.id), size=BATCH):
        for row in rows:
            fault = _fault(session, vault, row)
            if fault is not None:
                yield f"Row {row.id} of certificate: {fault}"


def _fault(session: Session, vault: Vault, row: Certificate) -> str | None:
    hashes = session.exec(
        select(col(JournalEntry.facts)["content_sha256"].astext).where(
            col(JournalEntry.subject_id) == str(row.id), col(JournalEntry.act) == ISSUED
        )
    ).all()
    if list(hashes) != [row.content_sha256.hex()]:
        return "its hash is not the one that the journal says was issued"
    try:
        content_of(vault, row)
    except Conflict:
        return "its content is not what was issued"
    except SealBroken:
        return "its content does not open with any key of PII_KEY"
    return None

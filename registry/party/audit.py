"""Holding what is sealed of parties against the hashes by which they are found."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, or_, select

from registry.kernel.rows import in_pages
from registry.kernel.vault import SealBroken, Vault
from registry.party import details as personal
from registry.party.models import Party

BATCH = 500


def altered(session: Session, vault: Vault) -> Iterator[str]:
    """Find parties whose seals do not open, are another's, or tell of others than are found."""
    is_sealed = or_(col(Party.cnic_sealed).is_not(None), col(Party.details_sealed).is_not(None))
    for rows in in_pages(session, select(Party).where(is_sealed), col(Party.id), size=BATCH):
        for row in rows:
            for fault in _faults(vault, row):
                yield f"Row {row.id} of party: {fault}"


def _faults(vault: Vault, party: Party) -> Iterator[str]:
    try:
        cnic, known = personal.cnic_of(vault, party), personal.known_of(vault, party)
    except SealBroken:
        yield "what is sealed of it opens with no key of PII_KEY, or is another's"
        return
    # Who is sealed under other keys may be found by another PII_INDEX_KEY.
    maybe = ", or keys were not rotated" * (party.sealed_with != vault.key_id)
    found_by = {
        "cnic_fingerprint": None if cnic is None else vault.fingerprint(cnic),
        "passport_fingerprint": personal.passport_fingerprint(vault, known),
        "iban_fingerprint": personal.iban_fingerprint(vault, known),
        "ntn_fingerprint": personal.ntn_fingerprint(vault, known),
    }
    for name, fingerprint in found_by.items():
        if getattr(party, name) != fingerprint:
            yield f"its {name} is not that of what is sealed{maybe}"

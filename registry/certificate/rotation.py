"""Sealing the content of certificates anew under the first key, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.certificate.models import Certificate
from registry.kernel.rows import page_after
from registry.kernel.vault import SealBroken, Vault


def count_left(session: Session, vault: Vault) -> int:
    """Count the certificates that are not sealed under the vault's first key."""
    left = col(Certificate.sealed_with) != vault.key_id
    return session.exec(select(func.count()).where(left)).one()


def list_left(session: Session, vault: Vault, *, after: UUID | None, limit: int) -> Sequence[UUID]:
    """List some of them; `after` passes over those that could not be opened."""
    query = select(Certificate.id).where(col(Certificate.sealed_with) != vault.key_id)
    return session.exec(page_after(query, col(Certificate.id), after=after, limit=limit)).all()


def reseal_one(session: Session, vault: Vault, row_id: UUID) -> bool:
    """Seal one anew; False where it does not open with any key."""
    certificate = session.get_one(Certificate, row_id, with_for_update=True, populate_existing=True)
    try:
        said = vault.unseal(certificate.sealed)
    except SealBroken:
        return False
    certificate.sealed, certificate.sealed_with = vault.seal(said), vault.key_id
    session.add(certificate)
    session.flush()
    return True

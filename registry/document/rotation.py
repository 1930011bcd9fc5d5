"""Sealing the keys of papers anew under the first key; the papers themselves stay as they lie."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.document.content import reseal
from registry.document.models import Document
from registry.document.store import DocumentCorrupted, DocumentStore
from registry.kernel.rows import page_after
from registry.kernel.vault import SealBroken, Vault


def count_left(session: Session, vault: Vault) -> int:
    """Count the papers whose key is not sealed under the vault's first one."""
    return session.exec(select(func.count()).where(col(Document.sealed_with) != vault.key_id)).one()


def list_left(session: Session, vault: Vault, *, after: UUID | None, limit: int) -> Sequence[UUID]:
    """List some of them; `after` passes over those that could not be opened."""
    query = select(Document.id).where(col(Document.sealed_with) != vault.key_id)
    return session.exec(page_after(query, col(Document.id), after=after, limit=limit)).all()


def reseal_document(
    session: Session, vault: Vault, store: DocumentStore, document_id: UUID
) -> tuple[bool, bytes | None]:
    """Seal one paper's key anew; a paper from before there were seals is sealed itself.

    Returns
    -------
    tuple[bool, bytes | None]
        Whether it could be opened, and the blob to remove from the store after the COMMIT.

    Raises
    ------
    StoreUnreachable
    """
    query = select(Document).where(
        col(Document.id) == document_id, col(Document.sealed_with) != vault.key_id
    )
    document = session.exec(query.with_for_update()).first()
    if document is None:
        return True, None  # another rotation was here
    try:
        before = reseal(vault, store, document)
    except (SealBroken, DocumentCorrupted):
        session.refresh(document)
        return False, None
    session.flush()
    if before is not None and _is_needed(session, before):
        before = None
    return True, before


def _is_needed(session: Session, stored_as: bytes) -> bool:
    """Tell whether another paper lies under the same name: unsealed twins did."""
    query = select(Document.id).where(col(Document.stored_as) == stored_as)
    return session.exec(query).first() is not None

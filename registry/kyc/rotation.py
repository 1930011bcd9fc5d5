"""Sealing reviews and the keys of their papers anew under the first key, a batch at a time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.kernel.rows import page_after
from registry.kernel.vault import SealBroken, Vault, said_in
from registry.kyc.models import KycPaper, KycReview
from registry.kyc.profile import reseal


def count_left(session: Session, vault: Vault) -> int:
    """Count the reviews and papers that are not sealed under the vault's first key."""
    return sum(
        session.exec(select(func.count()).where(col(table.sealed_with) != vault.key_id)).one()
        for table in (KycReview, KycPaper)
    )


def list_left(session: Session, vault: Vault, *, after: UUID | None, limit: int) -> Sequence[UUID]:
    """List some of them; `after` passes over those that could not be opened."""
    ids: list[UUID] = []
    for table in (KycReview, KycPaper):
        query = select(table.id).where(col(table.sealed_with) != vault.key_id)
        ids += session.exec(page_after(query, col(table.id), after=after, limit=limit)).all()
    return sorted(ids)[:limit]


def reseal_one(session: Session, vault: Vault, row_id: UUID) -> bool:
    """Seal a review, or the key of a paper, anew; False where it does not open."""
    review = session.get(KycReview, row_id, with_for_update=True, populate_existing=True)
    paper = session.get(KycPaper, row_id, with_for_update=True, populate_existing=True)
    try:
        if review is not None:
            reseal(vault, review)
        if paper is not None:
            said = said_in(vault.unseal(paper.sealed), paper.id, "key", "file_name")
            paper.sealed, paper.sealed_with = vault.seal(json.dumps(said)), vault.key_id
    except SealBroken:
        return False
    session.flush()
    return True

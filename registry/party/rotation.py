"""Sealing persons anew under the first key, a batch at a time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func
from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.rows import page_after, update_many
from registry.kernel.vault import SealBroken, Vault
from registry.party.details import keep_anew, known_of
from registry.party.models import Party


def _under_other_keys(vault: Vault) -> ColumnElement[bool]:
    sealed_with = col(Party.sealed_with)
    return and_(sealed_with.is_not(None), sealed_with != vault.key_id)


def count_left(session: Session, vault: Vault) -> int:
    """Count those who are not sealed under the vault's first key."""
    return session.exec(select(func.count()).where(_under_other_keys(vault))).one()


def list_left(session: Session, vault: Vault, *, after: UUID | None, limit: int) -> Sequence[UUID]:
    """List some of them; `after` passes over those that could not be opened."""
    query = select(Party.id).where(_under_other_keys(vault))
    return session.exec(page_after(query, col(Party.id), after=after, limit=limit)).all()


def reseal(session: Session, vault: Vault, party_ids: Collection[UUID]) -> None:
    """Seal persons anew, and key the hashes anew by which they are found.

    In one statement, for the audit holds what is sealed of them, and leaves who opens with no key
    as they are. Their version stays: nothing that anybody reads has changed.
    """
    # Who was amended in the meantime, or sealed by another rotation, is none of them any more.
    query = select(Party).where(col(Party.id).in_(party_ids), _under_other_keys(vault))
    # In the order of everybody who locks several: else two of them could wait for each other.
    ordered = query.order_by(col(Party.id))
    locked = ordered.with_for_update().execution_options(populate_existing=True)
    parties = [each for each in session.exec(locked).all() if _seal_anew(vault, each)]
    update_many(session, parties, _NAMES)
    if parties:
        number = len(parties)
        journal.record(session, THE_SYSTEM, "parties_resealed", "party", "all", number=number)


_NAMES = (
    "cnic_sealed", "cnic_fingerprint", "details_sealed", "passport_fingerprint",
    "iban_fingerprint", "ntn_fingerprint", "sealed_with",
)  # fmt: skip


def _seal_anew(vault: Vault, party: Party) -> bool:
    """Seal one anew; False where the seal does not open with any key, or is another's."""
    try:
        keep_anew(vault, party, known_of(vault, party))
    except SealBroken:
        return False
    return True

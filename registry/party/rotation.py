"""Sealing persons anew under the first key, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, update
from sqlmodel import Session, col, select

from registry.kernel.rows import page_after
from registry.kernel.vault import SealBroken, Vault
from registry.party.details import keep, known_of
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


def reseal_one(session: Session, vault: Vault, party_id: UUID) -> bool:
    """Seal one person anew, and key the hashes anew by which they are found.

    Their version stays: nothing that anybody reads has changed.

    Returns
    -------
    bool
        False where the seal does not open with any key.
    """
    query = select(Party).where(col(Party.id) == party_id, _under_other_keys(vault))
    party = session.exec(query.with_for_update()).first()
    if party is None:
        return True  # somebody amended them in the meantime, or another rotation was here
    try:
        values = _sealed_anew(vault, party)
    except SealBroken:
        return False
    session.execute(
        update(Party)
        .where(col(Party.id) == party_id)
        .values(values)
        .execution_options(synchronize_session=False)
    )
    return True


def _sealed_anew(vault: Vault, party: Party) -> dict[str, Any]:
    copy = Party(**party.model_dump())
    if party.cnic_sealed is not None:
        cnic = vault.unseal(party.cnic_sealed)
        copy.cnic_sealed, copy.cnic_fingerprint = vault.seal(cnic), vault.fingerprint(cnic)
    keep(vault, copy, known_of(vault, party))
    prints = ("cnic_fingerprint", "passport_fingerprint", "iban_fingerprint", "ntn_fingerprint")
    names = ("cnic_sealed", "details_sealed", "sealed_with", *prints)
    return {name: getattr(copy, name) for name in names}

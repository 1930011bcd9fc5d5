"""Sealing the secrets of endpoints anew under the first key, a batch at a time."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.kernel.rows import page_after
from registry.kernel.vault import SealBroken, Vault
from registry.webhook.models import WebhookEndpoint
from registry.webhook.secret import reseal


def count_left(session: Session, vault: Vault) -> int:
    """Count the endpoints whose secrets are not sealed under the vault's first key."""
    return session.exec(
        select(func.count()).where(col(WebhookEndpoint.sealed_with) != vault.key_id)
    ).one()


def list_left(session: Session, vault: Vault, *, after: UUID | None, limit: int) -> Sequence[UUID]:
    """List some of them; `after` passes over those that could not be opened."""
    query = select(WebhookEndpoint.id).where(col(WebhookEndpoint.sealed_with) != vault.key_id)
    return session.exec(page_after(query, col(WebhookEndpoint.id), after=after, limit=limit)).all()


def reseal_one(session: Session, vault: Vault, endpoint_id: UUID) -> bool:
    """Seal the secrets of an endpoint anew; False where they do not open."""
    endpoint = session.get_one(WebhookEndpoint, endpoint_id, with_for_update=True)
    try:
        reseal(vault, endpoint)
    except SealBroken:
        return False
    session.add(endpoint)
    session.flush()
    return True

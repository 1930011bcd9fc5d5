"""Webhooks (Standard Webhooks): where somebody's notices are pushed to, and each push."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from registry.kernel.columns import Record, binary, document, enumeration, instant


class WebhookEndpoint(Record, table=True):
    """A URL that the notices of one principal are sent to.

    Parameters
    ----------
    kinds
        What it wants to know of; empty for everything.
    sealed
        The secrets, under `sealed_with`, which names the vault's keys.
    old_secret_until
        Until then the secret before signs too.
    failing_since
        When the first delivery failed after which none went well.
    """

    __tablename__ = "webhook_endpoint"
    __table_args__ = (
        CheckConstraint(
            "(disabled_at IS NULL) = (disabled_because IS NULL)",
            name="ck_webhook_endpoint_disabled",
        ),
    )

    owner: str = Field(index=True)
    url: str
    description: str | None = None
    kinds: list[str] = document()
    sealed: bytes = binary()
    sealed_with: bytes = binary()
    old_secret_until: AwareDatetime | None = instant()
    failing_since: AwareDatetime | None = instant()
    disabled_at: AwareDatetime | None = instant()
    disabled_because: str | None = None
    removed_at: AwareDatetime | None = instant()


class DeliveryState(StrEnum):
    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    ABANDONED = "ABANDONED"
    """Given up: after the last try, or since the endpoint was disabled or removed."""


class WebhookDelivery(Record, table=True):
    """One message to one endpoint: the outbox, written when its notice is published.

    Parameters
    ----------
    message_id
        The same for each try, by which a receiver knows what it had already.
    next_at
        When it is tried next; while it is being sent, when another worker may.
    fault
        Why the last try failed.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        CheckConstraint(
            "(state = 'PENDING') = (next_at IS NOT NULL)", name="ck_webhook_delivery_next"
        ),
        UniqueConstraint("endpoint_id", "message_id", name="uq_webhook_delivery_message"),
        Index(
            "ix_webhook_delivery_due",
            "endpoint_id",
            "next_at",
            postgresql_where=text("state = 'PENDING'"),
        ),
    )

    endpoint_id: UUID = Field(foreign_key="webhook_endpoint.id")
    message_id: UUID
    kind: str
    payload: dict[str, Any] = document()
    state: DeliveryState = enumeration(DeliveryState, default=DeliveryState.PENDING)
    attempts: int = 0
    next_at: AwareDatetime | None = instant()
    answer_status: int | None = None
    fault: str | None = None
    ended_at: AwareDatetime | None = instant()

"""Webhook endpoints and deliveries over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from api.schemas.common import Body, Read, ShortText
from registry.webhook.address import MAX_URL_LENGTH
from registry.webhook.models import DeliveryState, WebhookDelivery, WebhookEndpoint

MOST_KINDS = 100
WebhookUrl = Annotated[str, StringConstraints(min_length=1, max_length=MAX_URL_LENGTH)]
NoticeKind = Annotated[str, StringConstraints(pattern=r"^[a-z_]+\.[a-z_]+$", max_length=64)]


class WebhookEndpointCreate(Body):
    """Where your notices are to be sent; `kinds` empty for all of them."""

    url: WebhookUrl
    kinds: Annotated[list[NoticeKind], Field(max_length=MOST_KINDS, default_factory=list)]
    description: ShortText | None = None


class WebhookEndpointRead(Read):
    """An endpoint, without its secret.

    Parameters
    ----------
    old_secret_until
        Until then messages are signed with the secret before as well.
    failing_since
        When the first message failed after which none went well; after five days of that the
        endpoint is disabled.
    """

    id: UUID
    url: str
    kinds: list[str]
    description: str | None
    old_secret_until: datetime | None
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_because: str | None
    recorded_at: datetime


class WebhookEndpointIssued(WebhookEndpointRead):
    """An endpoint with a new secret, shown in this one answer; a repeated request gets null."""

    secret: str | None

    @classmethod
    def with_secret(cls, endpoint: WebhookEndpoint, secret: str | None) -> Self:
        return cls(**endpoint.model_dump(), secret=secret)


class WebhookDeliveryRead(Read):
    """One message, and how far it is.

    Parameters
    ----------
    message_id
        `webhook-id`: the same for every try.
    fault
        Why the last try failed.
    """

    id: UUID
    endpoint_id: UUID
    message_id: UUID
    kind: str
    state: DeliveryState
    attempts: int
    next_at: datetime | None
    answer_status: int | None
    fault: str | None
    recorded_at: datetime
    ended_at: datetime | None

    @classmethod
    def of(cls, row: WebhookDelivery) -> Self:
        return cls(**row.model_dump(exclude={"payload"}))

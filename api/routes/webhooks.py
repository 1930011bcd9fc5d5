"""/v1/webhook_endpoints: notices pushed to the caller's own server."""

from __future__ import annotations

from uuid import UUID

from fastapi import Request, Response

from api.deps import ActorDep, ReadSessionDep, ServicesDep, SessionDep, VaultDep
from api.idempotency import IDEMPOTENT, keep_instead
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.common import Page
from api.schemas.webhooks import (
    WebhookDeliveryRead,
    WebhookEndpointCreate,
    WebhookEndpointIssued,
    WebhookEndpointRead,
)
from registry.passkey import service as passkeys
from registry.webhook import service as webhooks
from registry.webhook.models import DeliveryState, WebhookEndpoint

router = resource_router("webhooks")


@router.post("/webhook_endpoints", status_code=201, dependencies=IDEMPOTENT)
def add_webhook_endpoint(
    body: WebhookEndpointCreate,
    session: SessionDep,
    services: ServicesDep,
    vault: VaultDep,
    actor: ActorDep,
    request: Request,
    response: Response,
) -> WebhookEndpointIssued:
    """Have your notices sent to a URL; the secret that signs them is shown here only."""
    passkeys.require_recent(session, actor)
    endpoint, secret = webhooks.add_endpoint(
        session,
        vault,
        actor,
        **body.model_dump(),
        allow_loopback=not services.settings.is_production,
    )
    response.headers["Location"] = f"/v1/webhook_endpoints/{endpoint.id}"
    return _issued(request, response, endpoint, secret)


@router.get("/webhook_endpoints")
def list_webhook_endpoints(session: ReadSessionDep, actor: ActorDep) -> list[WebhookEndpointRead]:
    """List your endpoints."""
    rows = webhooks.list_endpoints(session, actor)
    return [WebhookEndpointRead.model_validate(row) for row in rows]


@router.get("/webhook_endpoints/{endpoint_id}")
def get_webhook_endpoint(
    endpoint_id: UUID, session: ReadSessionDep, actor: ActorDep
) -> WebhookEndpointRead:
    """See how an endpoint stands."""
    return WebhookEndpointRead.model_validate(webhooks.get_endpoint(session, actor, endpoint_id))


@router.delete("/webhook_endpoints/{endpoint_id}", status_code=204, dependencies=IDEMPOTENT)
def remove_webhook_endpoint(endpoint_id: UUID, session: SessionDep, actor: ActorDep) -> None:
    """Send nothing there any more."""
    webhooks.remove_endpoint(session, actor, endpoint_id)


@router.post("/webhook_endpoints/{endpoint_id}/rotate_secret", dependencies=IDEMPOTENT)
def rotate_webhook_secret(
    endpoint_id: UUID,
    session: SessionDep,
    vault: VaultDep,
    actor: ActorDep,
    request: Request,
    response: Response,
) -> WebhookEndpointIssued:
    """Give an endpoint a new secret; for 24 hours the one before signs too."""
    passkeys.require_recent(session, actor)
    endpoint, secret = webhooks.rotate_secret(session, vault, actor, endpoint_id)
    return _issued(request, response, endpoint, secret)


@router.post("/webhook_endpoints/{endpoint_id}/enable", dependencies=IDEMPOTENT)
def enable_webhook_endpoint(
    endpoint_id: UUID, session: SessionDep, actor: ActorDep
) -> WebhookEndpointRead:
    """Send there again after it was disabled; what happened meanwhile is in /v1/me/events."""
    passkeys.require_recent(session, actor)
    return WebhookEndpointRead.model_validate(webhooks.enable_endpoint(session, actor, endpoint_id))


@router.post("/webhook_endpoints/{endpoint_id}/test", status_code=201, dependencies=IDEMPOTENT)
def test_webhook_endpoint(
    endpoint_id: UUID, session: SessionDep, actor: ActorDep
) -> WebhookDeliveryRead:
    """Queue a message of the kind `webhook.test`, which is sent as any other."""
    return WebhookDeliveryRead.of(webhooks.send_test(session, actor, endpoint_id))


@router.get("/webhook_endpoints/{endpoint_id}/deliveries")
def list_webhook_deliveries(
    endpoint_id: UUID,
    session: ReadSessionDep,
    actor: ActorDep,
    paging: PagingDep,
    state: DeliveryState | None = None,
) -> Page[WebhookDeliveryRead]:
    """List what was sent to an endpoint, or is to be, oldest first."""
    rows = webhooks.list_deliveries(
        session, actor, endpoint_id, state=state, after=paging.after_id, limit=paging.fetch
    )
    return paging.page(rows, lambda row: str(row.id), WebhookDeliveryRead.of)


@router.post("/webhook_deliveries/{delivery_id}/retry", dependencies=IDEMPOTENT)
def retry_webhook_delivery(
    delivery_id: UUID, session: SessionDep, actor: ActorDep
) -> WebhookDeliveryRead:
    """Send a message again that was given up, or that you have lost."""
    return WebhookDeliveryRead.of(webhooks.retry_delivery(session, actor, delivery_id))


def _issued(
    request: Request, response: Response, endpoint: WebhookEndpoint, secret: str
) -> WebhookEndpointIssued:
    keep_instead(request, WebhookEndpointIssued.with_secret(endpoint, None))
    response.headers["Cache-Control"] = "no-store"
    return WebhookEndpointIssued.with_secret(endpoint, secret)

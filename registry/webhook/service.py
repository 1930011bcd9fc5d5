"""Use cases on webhook endpoints: add, list, remove, rotate the secret, test, enable again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Invalid, NotFound
from registry.kernel.ids import new_id
from registry.kernel.rows import page_after
from registry.kernel.vault import Vault
from registry.notice import service as notices
from registry.webhook.address import check_url
from registry.webhook.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from registry.webhook.payload import payload_of
from registry.webhook.secret import new_secret, set_secret

MOST_ENDPOINTS = 10
TEST_KIND = "webhook.test"
DISABLED_KIND = "webhook.disabled"
MOST_TESTS = 5
"""Tests of one endpoint that wait to be sent."""
SOON = timedelta(minutes=2)
"""Longer than the lease of a message that is being sent."""


def add_endpoint(
    session: Session,
    vault: Vault,
    actor: Actor,
    *,
    url: str,
    kinds: Sequence[str] = (),
    description: str | None = None,
    allow_loopback: bool = False,
) -> tuple[WebhookEndpoint, str]:
    """Have the caller's notices sent to a URL; return the endpoint and its secret.

    Parameters
    ----------
    kinds
        What it wants to know of; none for everything.

    Raises
    ------
    Invalid
        ``webhook_url_refused``, ``notice_kind_unknown``.
    Conflict
        ``too_many_webhooks``.
    """
    check_url(url, allow_loopback=allow_loopback)
    strange = sorted(set(kinds) - notices.known_kinds())
    if strange:
        raise Invalid(
            "notice_kind_unknown",
            f"Nothing is ever told of the kind {strange[0]}.",
            field="/kinds",
            remedy="Leave kinds out for everything, or see the guide for mobile developers.",
        )
    # Of two that are added at one moment, the second counts the first.
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"webhook:{actor.person}"))))
    if len(list_endpoints(session, actor)) >= MOST_ENDPOINTS:
        raise Conflict(
            "too_many_webhooks",
            f"You have {MOST_ENDPOINTS} endpoints already.",
            remedy="Remove one first.",
        )
    endpoint = WebhookEndpoint(
        owner=actor.person,
        url=url,
        kinds=sorted(set(kinds)),
        description=description,
        sealed=b"",
    )
    secret = new_secret()
    set_secret(vault, endpoint, secret)
    session.add(endpoint)
    session.flush()
    journal.record(session, actor, "webhook_added", "webhook_endpoint", endpoint.id)
    return endpoint, secret


def list_endpoints(session: Session, actor: Actor) -> Sequence[WebhookEndpoint]:
    """List the caller's endpoints, oldest first."""
    return session.exec(
        select(WebhookEndpoint)
        .where(
            col(WebhookEndpoint.owner) == actor.person, col(WebhookEndpoint.removed_at).is_(None)
        )
        .order_by(col(WebhookEndpoint.id))
    ).all()


def get_endpoint(
    session: Session, actor: Actor, endpoint_id: UUID, *, lock: bool = False
) -> WebhookEndpoint:
    """Return an endpoint of the caller.

    Raises
    ------
    NotFound
        There is none, or it is somebody else's.
    """
    found = _find_endpoint(session, actor, endpoint_id, lock=lock)
    if found is None:
        raise NotFound("webhook endpoint", endpoint_id)
    return found


def _find_endpoint(
    session: Session, actor: Actor, endpoint_id: UUID, *, lock: bool = False
) -> WebhookEndpoint | None:
    found = session.get(WebhookEndpoint, endpoint_id, with_for_update=lock or None)
    if found is None or found.owner != actor.person or found.removed_at is not None:
        return None
    return found


def remove_endpoint(session: Session, actor: Actor, endpoint_id: UUID) -> None:
    """Send nothing there any more.

    Raises
    ------
    NotFound
    """
    endpoint = get_endpoint(session, actor, endpoint_id, lock=True)
    endpoint.removed_at = now()
    session.add(endpoint)
    abandon_pending(session, endpoint.id)
    journal.record(session, actor, "webhook_removed", "webhook_endpoint", endpoint.id)


def rotate_secret(
    session: Session, vault: Vault, actor: Actor, endpoint_id: UUID
) -> tuple[WebhookEndpoint, str]:
    """Give an endpoint a new secret; for a day the one before signs too.

    Raises
    ------
    NotFound
    """
    endpoint = get_endpoint(session, actor, endpoint_id, lock=True)
    secret = new_secret()
    set_secret(vault, endpoint, secret)
    session.add(endpoint)
    session.flush()
    journal.record(session, actor, "webhook_secret_rotated", "webhook_endpoint", endpoint.id)
    return endpoint, secret


def enable_endpoint(session: Session, actor: Actor, endpoint_id: UUID) -> WebhookEndpoint:
    """Send there again after it was disabled, beginning with what happens now.

    Raises
    ------
    NotFound
    Conflict
        ``webhook_enabled``.
    """
    endpoint = get_endpoint(session, actor, endpoint_id, lock=True)
    if endpoint.disabled_at is None:
        raise Conflict("webhook_enabled", "The endpoint is not disabled.")
    # What was being published while it was disabled may have been queued after that.
    abandon_pending(session, endpoint.id)
    endpoint.disabled_at = endpoint.disabled_because = endpoint.failing_since = None
    session.add(endpoint)
    session.flush()
    journal.record(session, actor, "webhook_enabled", "webhook_endpoint", endpoint.id)
    return endpoint


def disable_endpoint(session: Session, actor: Actor, endpoint: WebhookEndpoint, why: str) -> None:
    """Send nothing there until its owner enables it again; what waits is given up.

    Parameters
    ----------
    endpoint
        Locked.
    why
        One sentence, which the owner reads.
    """
    if endpoint.disabled_at is not None or endpoint.removed_at is not None:
        return
    endpoint.disabled_at, endpoint.disabled_because = now(), why
    session.add(endpoint)
    abandon_pending(session, endpoint.id)
    notices.tell(
        session, endpoint.owner, DISABLED_KIND, ("webhook_endpoint", endpoint.id), reason=why
    )
    journal.record(session, actor, "webhook_disabled", "webhook_endpoint", endpoint.id, reason=why)


def disable_all(session: Session, actor: Actor, owner: str, why: str) -> None:
    """Disable every endpoint of somebody."""
    found = session.exec(
        select(WebhookEndpoint)
        .where(col(WebhookEndpoint.owner) == owner, col(WebhookEndpoint.removed_at).is_(None))
        .order_by(col(WebhookEndpoint.id))
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()
    for endpoint in found:
        disable_endpoint(session, actor, endpoint, why)


def send_test(session: Session, actor: Actor, endpoint_id: UUID) -> WebhookDelivery:
    """Queue a message that says nothing, as any other is sent.

    Raises
    ------
    NotFound
    Conflict
        ``webhook_disabled``, ``too_many_tests``.
    """
    # Of two that are asked for at one moment, the second counts the first.
    endpoint = get_endpoint(session, actor, endpoint_id, lock=True)
    _require_enabled(endpoint)
    if _count_tests(session, endpoint.id) >= MOST_TESTS:
        raise Conflict(
            "too_many_tests",
            f"{MOST_TESTS} tests of this endpoint wait to be sent already.",
            remedy="See in its deliveries what became of them.",
        )
    delivery = WebhookDelivery(
        endpoint_id=endpoint.id,
        message_id=new_id(),
        kind=TEST_KIND,
        payload=payload_of(TEST_KIND, now(), {}),
        next_at=now(),
    )
    session.add(delivery)
    session.flush()
    return delivery


def _count_tests(session: Session, endpoint_id: UUID) -> int:
    """Count the tests that wait; one that failed and rests for minutes is in nobody's way."""
    return session.exec(
        select(func.count()).where(
            col(WebhookDelivery.endpoint_id) == endpoint_id,
            col(WebhookDelivery.state) == DeliveryState.PENDING,
            col(WebhookDelivery.kind) == TEST_KIND,
            col(WebhookDelivery.next_at) <= now() + SOON,
        )
    ).one()


def retry_delivery(session: Session, actor: Actor, delivery_id: UUID) -> WebhookDelivery:
    """Send a message again, from its first try on: one that was given up, or went well before.

    Raises
    ------
    NotFound
    Conflict
        ``webhook_disabled``, ``delivery_pending``.
    """
    delivery = session.get(WebhookDelivery, delivery_id, with_for_update=True)
    endpoint = None if delivery is None else _find_endpoint(session, actor, delivery.endpoint_id)
    if delivery is None or endpoint is None:
        raise NotFound("webhook delivery", delivery_id)
    _require_enabled(endpoint)
    if delivery.state == DeliveryState.PENDING:
        raise Conflict("delivery_pending", "The message is being sent already.")
    delivery.state, delivery.attempts = DeliveryState.PENDING, 0
    delivery.next_at, delivery.ended_at = now(), None
    session.add(delivery)
    session.flush()
    return delivery


def list_deliveries(
    session: Session,
    actor: Actor,
    endpoint_id: UUID,
    *,
    state: DeliveryState | None = None,
    after: UUID | None,
    limit: int,
) -> Sequence[WebhookDelivery]:
    """List what was, or is to be, sent to an endpoint, oldest first.

    Raises
    ------
    NotFound
    """
    get_endpoint(session, actor, endpoint_id)
    query = select(WebhookDelivery).where(col(WebhookDelivery.endpoint_id) == endpoint_id)
    if state is not None:
        query = query.where(col(WebhookDelivery.state) == state)
    return session.exec(page_after(query, col(WebhookDelivery.id), after=after, limit=limit)).all()


def abandon_pending(session: Session, endpoint_id: UUID) -> None:
    values: dict[str, Any] = {
        "state": DeliveryState.ABANDONED,
        "next_at": None,
        "ended_at": now(),
    }
    session.execute(
        update(WebhookDelivery)
        .where(
            col(WebhookDelivery.endpoint_id) == endpoint_id,
            col(WebhookDelivery.state) == DeliveryState.PENDING,
        )
        .values(**values)
    )


def _require_enabled(endpoint: WebhookEndpoint) -> None:
    if endpoint.disabled_at is not None:
        raise Conflict(
            "webhook_disabled",
            f"The endpoint is disabled: {endpoint.disabled_because}",
            remedy="Mend the receiver, then enable the endpoint.",
        )

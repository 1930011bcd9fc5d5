"""The outbox: filled as notices are published, claimed by senders, and what became of each try."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlmodel import Session, col, select

from registry.kernel.actor import THE_SYSTEM
from registry.kernel.clock import now
from registry.kernel.ids import new_id
from registry.kernel.rows import among, insert_many
from registry.kernel.vault import SealBroken, Vault
from registry.notice import service as notices
from registry.notice.models import Notice
from registry.webhook.models import DeliveryState, WebhookDelivery, WebhookEndpoint
from registry.webhook.payload import payload_of
from registry.webhook.secret import secrets_of
from registry.webhook.service import disable_endpoint

log = structlog.get_logger()

PAUSES = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600)
)
"""After each failed try, as Standard Webhooks recommends: about two days in all."""
PATIENCE = timedelta(days=5)
"""An endpoint that takes nothing for so long is disabled."""
LEASE = timedelta(seconds=60)
"""Longer than any try: until then no other worker sends the same."""
LONGEST_WAIT = timedelta(hours=24)
GONE = 410


class Lane(StrEnum):
    """Endpoints that fail have their own lane, so that they hold nobody else up."""

    WELL = "WELL"
    FAILING = "FAILING"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message that this worker may send now.

    Parameters
    ----------
    until
        When another worker may; it names this try, for each takes the message until a moment of
        its own, whereas the owner of an endpoint lets the tries be counted anew.
    """

    delivery_id: UUID
    until: datetime
    owner: str
    url: str
    message_id: UUID
    payload: Mapping[str, Any]
    secrets: Sequence[str]


def publish_round(session: Session) -> int:
    """Publish what waits, queue it for every endpoint that wants it, and return how much it was."""
    published = notices.publish(session)
    if not published:
        return 0
    wanted = among(col(WebhookEndpoint.owner), sorted({principal for _, principal in published}))
    endpoints = defaultdict(list)
    for endpoint in session.exec(
        select(WebhookEndpoint).where(
            wanted,
            col(WebhookEndpoint.disabled_at).is_(None),
            col(WebhookEndpoint.removed_at).is_(None),
        )
    ):
        endpoints[endpoint.owner].append(endpoint)
    if not endpoints:
        return len(published)
    # Most have no endpoint: what they are told is not even loaded.
    pushed = [notice_id for notice_id, principal in published if principal in endpoints]
    rows = [
        {
            "id": new_id(),
            "recorded_at": now(),
            "endpoint_id": endpoint.id,
            "message_id": item.id,
            "kind": item.kind,
            "payload": payload_of(item.kind, item.recorded_at, facts_of(item)),
            "state": DeliveryState.PENDING,
            "attempts": 0,
            "next_at": now(),
        }
        for item in notices.get_notices(session, pushed)
        for endpoint in endpoints[item.principal]
        if not endpoint.kinds or item.kind in endpoint.kinds
    ]
    if rows:
        session.execute(insert_many(WebhookDelivery, rows))
    return len(published)


def facts_of(notice: Notice) -> dict[str, object]:
    """Return what a notice says, for machines."""
    return {
        "seq": str(notice.seq),
        "subject_kind": notice.subject_kind,
        "subject_id": str(notice.subject_id),
        **notice.facts,
    }


# Whoever has least under way comes first, then whoever waits longest; who waits behind a lock is
# passed over. So one owner, with whatever backlog, never takes the room of another.
_CLAIM = """
WITH busy AS (SELECT * FROM unnest(CAST(:owners AS text[]), CAST(:tries AS int[])) b(owner, tries)),
waiting AS (
  SELECT d.id, d.next_at, coalesce(b.tries, 0)
    + row_number() OVER (PARTITION BY e.owner ORDER BY d.next_at, d.id) AS place
  FROM webhook_endpoint e LEFT JOIN busy b ON b.owner = e.owner
  CROSS JOIN LATERAL (
    SELECT id, next_at FROM webhook_delivery
    WHERE endpoint_id = e.id AND state = 'PENDING' AND next_at <= :now
    ORDER BY next_at LIMIT :each) d
  WHERE e.removed_at IS NULL AND e.disabled_at IS NULL
    AND (e.failing_since IS NOT NULL) = :failing),
due AS (SELECT id FROM waiting WHERE place <= :most ORDER BY place, next_at LIMIT :limit),
free AS (
  SELECT id FROM webhook_delivery WHERE id IN (SELECT id FROM due) AND state = 'PENDING'
    AND next_at <= :now FOR UPDATE SKIP LOCKED)
UPDATE webhook_delivery d SET next_at = :until, attempts = attempts + 1
FROM free WHERE d.id = free.id RETURNING d.id
"""
_EACH = {Lane.WELL: 4, Lane.FAILING: 1}
EACH_OWNER = {Lane.WELL: 4, Lane.FAILING: 2}
"""Tries of one owner at one moment, at all endpoints together."""


def claim(
    session: Session, vault: Vault, lane: Lane, limit: int, busy: Mapping[str, int] | None = None
) -> list[Outgoing]:
    """Take messages whose time has come; a worker that dies over them leaves them to another.

    Parameters
    ----------
    busy
        How many tries of whom this worker has under way in the lane.
    """
    moment = now()
    until = moment + LEASE
    values = {
        "now": moment,
        "until": until,
        "failing": lane is Lane.FAILING,
        "each": _EACH[lane],
        "most": EACH_OWNER[lane],
        "owners": list(busy or {}),
        "tries": list((busy or {}).values()),
        "limit": limit,
    }
    ids = session.execute(text(_CLAIM), values).scalars().all()
    rows = session.exec(
        select(WebhookDelivery, WebhookEndpoint)
        .join(WebhookEndpoint, col(WebhookEndpoint.id) == col(WebhookDelivery.endpoint_id))
        .where(among(col(WebhookDelivery.id), ids))
        .order_by(col(WebhookDelivery.message_id))
    ).all()
    found = []
    for delivery, endpoint in rows:
        try:
            secrets = secrets_of(vault, endpoint)
        except SealBroken:
            # An alarm, and no reason to hold up everybody else's.
            log.error("webhook_secret_lost", endpoint=str(endpoint.id))  # noqa: TRY400
            fault = "its secret does not open any more"
            note_failed(session, delivery.id, fault, until=until)
            continue
        found.append(
            Outgoing(
                delivery.id,
                until,
                endpoint.owner,
                endpoint.url,
                delivery.message_id,
                delivery.payload,
                secrets,
            )
        )
    return found


def note_delivered(session: Session, delivery_id: UUID, status: int) -> None:
    """Record that a receiver has taken a message, in whichever try of it."""
    delivery, endpoint = _locked(session, delivery_id)
    delivery.answer_status, delivery.fault = status, None
    _end(delivery, DeliveryState.DELIVERED)
    endpoint.failing_since = None
    session.add_all([delivery, endpoint])


def note_failed(
    session: Session,
    delivery_id: UUID,
    fault: str,
    *,
    until: datetime,
    status: int | None = None,
    wait: timedelta | None = None,
) -> None:
    """Record that a try failed: it is tried again later, or given up.

    A message that its owner sends again since, or another worker, goes on as if it had not. Nor
    does a 410 disable an endpoint that was enabled again since: all that waited was given up first.

    Parameters
    ----------
    until
        Which try: the `Outgoing.until` of it.
    wait
        What the receiver asked for (Retry-After).
    """
    delivery, endpoint = _locked(session, delivery_id)
    delivery.answer_status, delivery.fault = status, fault
    is_its_last = delivery.state == DeliveryState.PENDING and delivery.next_at == until
    if is_its_last:
        if delivery.attempts > len(PAUSES):
            _end(delivery, DeliveryState.ABANDONED)
        else:
            pause = max(PAUSES[delivery.attempts - 1], min(wait or timedelta(), LONGEST_WAIT))
            delivery.next_at = now() + pause
    endpoint.failing_since = endpoint.failing_since or now()
    session.add_all([delivery, endpoint])
    session.flush()
    if status == GONE and is_its_last:
        disable_endpoint(session, THE_SYSTEM, endpoint, "The receiver answered 410 Gone.")
    elif now() - endpoint.failing_since >= PATIENCE:
        since = endpoint.failing_since.date()
        why = f"No message was taken since {since}; the last: {fault}"
        disable_endpoint(session, THE_SYSTEM, endpoint, why)


def _locked(session: Session, delivery_id: UUID) -> tuple[WebhookDelivery, WebhookEndpoint]:
    # The endpoint first, as when it is removed: so nobody waits in a circle.
    found = session.get_one(WebhookDelivery, delivery_id)
    endpoint = session.get_one(
        WebhookEndpoint, found.endpoint_id, with_for_update=True, populate_existing=True
    )
    delivery = session.get_one(
        WebhookDelivery, delivery_id, with_for_update=True, populate_existing=True
    )
    return delivery, endpoint


def _end(delivery: WebhookDelivery, state: DeliveryState) -> None:
    delivery.state, delivery.next_at, delivery.ended_at = state, None, now()

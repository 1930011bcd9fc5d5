"""/v1/alerts: what the rules found, and what officers make of it; never for whom it is about."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from api.as_of import LegalSessionDep
from api.deps import ActorDep, SessionDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.reading import FullReadingDep, ReadingDep
from api.routes.router import resource_router
from api.schemas.alerts import AlertRead
from api.schemas.assets import Reason
from api.schemas.common import Page
from registry.alert import service as alerts
from registry.alert.models import AlertRule, AlertState
from registry.alert.service import AlertFilter

router = resource_router("alerts")


def get_filter(
    state: AlertState | None = None,
    rule: AlertRule | None = None,
    party_id: UUID | None = None,
    tokenization_id: UUID | None = None,
) -> AlertFilter:
    """Read which alerts are asked for."""
    return AlertFilter(state=state, rule=rule, party_id=party_id, tokenization_id=tokenization_id)


@router.get("/alerts")
def list_alerts(
    session: LegalSessionDep,
    reading: ReadingDep,
    actor: ActorDep,
    paging: PagingDep,
    wanted: Annotated[AlertFilter, Depends(get_filter)],
) -> Page[AlertRead]:
    """List alerts in the order in which they were raised."""
    rows = alerts.list_alerts(session, actor, wanted, after=paging.after_id, limit=paging.fetch)
    return reading.of(paging.page(rows, lambda row: str(row.id), AlertRead.of))


@router.get("/alerts/{alert_id}")
def get_alert(
    alert_id: UUID, session: LegalSessionDep, reading: FullReadingDep, actor: ActorDep
) -> AlertRead:
    """Read one alert, with its evidence."""
    return reading.of(AlertRead.of(alerts.get_alert(session, actor, alert_id)))


@router.post("/alerts/{alert_id}/review", dependencies=IDEMPOTENT)
def review_alert(alert_id: UUID, body: Reason, session: SessionDep, actor: ActorDep) -> AlertRead:
    """Say as the first officer what it is."""
    return AlertRead.of(alerts.review_alert(session, actor, alert_id, reason=body.reason))


@router.post("/alerts/{alert_id}/return", dependencies=IDEMPOTENT)
def return_alert(alert_id: UUID, body: Reason, session: SessionDep, actor: ActorDep) -> AlertRead:
    """Disagree as the second officer."""
    return AlertRead.of(alerts.return_alert(session, actor, alert_id, reason=body.reason))


@router.post("/alerts/{alert_id}/dismiss", dependencies=IDEMPOTENT)
def dismiss_alert(alert_id: UUID, body: Reason, session: SessionDep, actor: ActorDep) -> AlertRead:
    """Decide as the second officer that there is nothing in it."""
    return AlertRead.of(alerts.dismiss_alert(session, actor, alert_id, reason=body.reason))


@router.post("/alerts/{alert_id}/escalate", dependencies=IDEMPOTENT)
def escalate_alert(alert_id: UUID, body: Reason, session: SessionDep, actor: ActorDep) -> AlertRead:
    """Take it further; /v1/str_cases does so by itself."""
    return AlertRead.of(alerts.escalate_alert(session, actor, alert_id, reason=body.reason))

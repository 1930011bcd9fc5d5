"""The walk of an incident: reported, contained, closed with its cause."""

from __future__ import annotations

from datetime import timedelta

from registry.incident import service as incidents
from registry.incident.models import Incident
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from tests import intakes
from tests.db.walks.board import Scenario, Walk
from tests.factories import COMPLIANCE, Desk
from tests.intakes import OPERATIONS


def contain(desk: Desk, row: Incident, hours: int = 1) -> None:
    ended_at = now() - timedelta(hours=hours)
    incidents.contain_incident(desk.session, OPERATIONS, row.id, ended_at=ended_at)


def contained(desk: Desk) -> Incident:
    row = intakes.incident(desk)
    contain(desk, row)
    return row


def close(desk: Desk, row: Incident, who: Actor = COMPLIANCE) -> None:
    incidents.close_incident(desk.session, who, row.id, cause="A disk was full.", loss_paisa=100)


WALK = Walk(
    machine="incident",
    record=intakes.incident,
    scenarios=(
        Scenario(
            source="OPEN",
            event="contain",
            prepare=intakes.incident,
            play=contain,
            denied=lambda desk, row: contain(desk, row, 3),
            code="incident_times_malformed",
        ),
        Scenario(
            source="CONTAINED",
            event="close",
            prepare=contained,
            play=close,
            denied=lambda desk, row: close(desk, row, OPERATIONS),
            code="checker_is_maker",
        ),
    ),
)

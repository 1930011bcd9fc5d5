"""Incidents and outages: what went wrong with the service, for how long, and what was lost."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint

from registry.kernel.columns import Record, bigint, enumeration, instant


class IncidentKind(StrEnum):
    OUTAGE = "OUTAGE"
    SECURITY = "SECURITY"
    PERSONAL_DATA = "PERSONAL_DATA"
    CHAIN = "CHAIN"
    PROCESS = "PROCESS"


class IncidentSeverity(StrEnum):
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"
    CRITICAL = "CRITICAL"


class IncidentState(StrEnum):
    OPEN = "OPEN"
    CONTAINED = "CONTAINED"
    CLOSED = "CLOSED"


class Incident(Record, table=True):
    """One incident.

    Parameters
    ----------
    began_at, ended_at
        From when until when it was felt; it ends when it is contained.
    loss_paisa
        What it cost, once that is known.
    cause
        Found by whoever closes it, who is not whoever reported it.
    """

    __table_args__ = (
        CheckConstraint("loss_paisa >= 0", name="ck_incident_loss"),
        CheckConstraint("ended_at >= began_at", name="ck_incident_times"),
        CheckConstraint(
            "acting_person(closed_by) <> acting_person(maker)", name="ck_incident_four_eyes"
        ),
    )

    kind: IncidentKind = enumeration(IncidentKind)
    severity: IncidentSeverity = enumeration(IncidentSeverity)
    title: str
    description: str
    began_at: AwareDatetime = instant(nullable=False)
    ended_at: AwareDatetime | None = instant()
    loss_paisa: int | None = bigint(default=None)
    state: IncidentState = enumeration(IncidentState, default=IncidentState.OPEN)
    maker: str
    closed_by: str | None = None
    closed_at: AwareDatetime | None = instant()
    cause: str | None = None

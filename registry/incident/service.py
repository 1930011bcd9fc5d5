"""Use cases on incidents: reported, contained, closed with their cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from registry.incident.guards import MACHINE
from registry.incident.models import Incident, IncidentKind, IncidentSeverity
from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import Invalid
from registry.kernel.rows import get_row, page_after
from registry.lifecycle import service as lifecycle


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIncident:
    """An incident as it is reported; see `models.Incident`."""

    kind: IncidentKind
    severity: IncidentSeverity
    title: str
    description: str
    began_at: datetime


def report_incident(session: Session, actor: Actor, new: NewIncident) -> Incident:
    """Record what went wrong.

    Raises
    ------
    Invalid
        ``incident_times_malformed``.
    """
    if new.began_at > now():
        raise Invalid("incident_times_malformed", "Nothing began in the future.", field="/began_at")
    incident = Incident(
        **{name: getattr(new, name) for name in NewIncident.__dataclass_fields__},
        maker=actor.subject,
    )
    session.add(incident)
    session.flush()
    journal.record(
        session, actor, "incident_reported", "incident", incident.id,
        kind=new.kind, severity=new.severity,
    )  # fmt: skip
    return incident


def contain_incident(
    session: Session, actor: Actor, incident_id: UUID, *, ended_at: datetime
) -> Incident:
    """Say that it is not felt any more.

    Raises
    ------
    NotFound
    Invalid
        ``incident_times_malformed``.
    Conflict
        ``transition_refused``.
    """
    incident = get_incident(session, incident_id, lock=True)
    said = {"ended_at": ended_at}
    lifecycle.change(session, actor, MACHINE, incident, "contain", given=said, changes=said)
    return incident


def close_incident(
    session: Session, actor: Actor, incident_id: UUID, *, cause: str, loss_paisa: int | None
) -> Incident:
    """Say what it came from and what it cost, as another person than who reported it.

    Raises
    ------
    NotFound
    Invalid
        ``reason_missing``.
    Forbidden
        ``checker_is_maker``.
    Conflict
        ``transition_refused``.
    """
    incident = get_incident(session, incident_id, lock=True)
    lifecycle.change(
        session, actor, MACHINE, incident, "close",
        given={"reason": cause},
        changes={
            "closed_by": actor.subject,
            "closed_at": now(),
            "cause": cause,
            "loss_paisa": loss_paisa,
        },
        reason=cause,
    )  # fmt: skip
    return incident


def get_incident(session: Session, incident_id: UUID, *, lock: bool = False) -> Incident:
    """Return the incident.

    Raises
    ------
    NotFound
    """
    return get_row(session, Incident, incident_id, kind="incident", lock=lock)


def list_incidents(
    session: Session, *, state: str | None, after: UUID | None, limit: int
) -> Sequence[Incident]:
    """List incidents in the order in which they were reported."""
    query = select(Incident)
    if state is not None:
        query = query.where(col(Incident.state) == state)
    return session.exec(page_after(query, col(Incident.id), after=after, limit=limit)).all()

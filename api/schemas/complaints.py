"""Complaints and incidents over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from api.schemas.common import Body, DatedInstant, LongText, MoneyAmount, OfPerson, Read, ShortText
from api.schemas.free_text import FreeText
from registry.complaint.models import Complaint, ComplaintKind, ComplaintState
from registry.complaint.service import NewComplaint
from registry.incident.models import Incident, IncidentKind, IncidentSeverity, IncidentState
from registry.incident.service import NewIncident
from registry.kernel.clock import now


class OwnComplaintCreate(Body):
    """What you complain of, in your own words; `loss` is what you say that you have lost."""

    kind: ComplaintKind
    said: LongText
    tokenization_id: UUID | None = None
    loss: MoneyAmount | None = None

    def new(self) -> NewComplaint:
        return NewComplaint(
            kind=self.kind,
            said=self.said,
            received_at=now(),
            tokenization_id=self.tokenization_id,
            loss_paisa=self.loss.paisa("/loss/amount") if self.loss else None,
        )


class ComplaintCreate(Body):
    """A complaint that came by letter or telephone; without a party, of somebody unknown."""

    kind: ComplaintKind
    said: LongText
    received_at: DatedInstant
    party_id: UUID | None = None
    tokenization_id: UUID | None = None
    loss: MoneyAmount | None = None

    def new(self) -> NewComplaint:
        return NewComplaint(
            kind=self.kind,
            said=self.said,
            received_at=self.received_at,
            party_id=self.party_id,
            tokenization_id=self.tokenization_id,
            loss_paisa=self.loss.paisa("/loss/amount") if self.loss else None,
        )


class AnswerCreate(Body):
    """What the complainant is told."""

    answer: LongText


class ComplaintRead(OfPerson):
    """A complaint, and what became of it."""

    id: UUID
    recorded_at: datetime
    kind: ComplaintKind
    party_id: UUID | None
    tokenization_id: UUID | None
    said: FreeText
    loss: MoneyAmount | None
    received_at: datetime
    state: ComplaintState
    maker: str
    investigated_by: str | None
    closed_by: str | None
    closed_at: datetime | None
    answer: FreeText | None

    @classmethod
    def of(cls, row: Complaint) -> Self:
        said = row.model_dump(exclude={"loss_paisa"})
        return cls(**said, loss=MoneyAmount.of_known(row.loss_paisa))


class OwnComplaintRead(Read):
    """A complaint of yours; who of the staff looks into it is not told."""

    id: UUID
    kind: ComplaintKind
    tokenization_id: UUID | None
    said: FreeText
    loss: MoneyAmount | None
    received_at: datetime
    state: ComplaintState
    closed_at: datetime | None
    answer: FreeText | None

    @classmethod
    def of(cls, row: Complaint) -> Self:
        said = row.model_dump(include=set(cls.model_fields) - {"loss"})
        return cls(**said, loss=MoneyAmount.of_known(row.loss_paisa))


class IncidentCreate(Body):
    """What goes wrong, and since when it is felt."""

    kind: IncidentKind
    severity: IncidentSeverity
    title: ShortText
    description: LongText
    began_at: DatedInstant

    def new(self) -> NewIncident:
        return NewIncident(**self.model_dump())


class IncidentEnd(Body):
    """When it was felt last."""

    ended_at: DatedInstant


class IncidentCause(Body):
    """What it came from, and what it cost."""

    cause: LongText
    loss: MoneyAmount | None = None


class IncidentRead(Read):
    """An incident, and what became of it."""

    id: UUID
    recorded_at: datetime
    kind: IncidentKind
    severity: IncidentSeverity
    title: FreeText
    description: FreeText
    began_at: datetime
    ended_at: datetime | None
    loss: MoneyAmount | None
    state: IncidentState
    maker: str
    closed_by: str | None
    closed_at: datetime | None
    cause: FreeText | None

    @classmethod
    def of(cls, row: Incident) -> Self:
        said = row.model_dump(exclude={"loss_paisa"})
        return cls(**said, loss=MoneyAmount.of_known(row.loss_paisa))

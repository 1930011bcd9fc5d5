"""Filings with the Financial Monitoring Unit over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from api.schemas.common import Body, LongText, MoneyAmount, OfPerson, ShortText
from api.schemas.free_text import FreeText
from registry.filing.models import CtrFiling, CtrState, StrCase, StrState


class CtrCreate(Body):
    """Whose payments of which day."""

    party_id: UUID
    day: date


class FilingReference(Body):
    """By which the FMU (goAML) knows what was filed."""

    reference: ShortText


class CtrRead(OfPerson):
    """A currency transaction report: what a party paid on a day, and whether it is filed."""

    id: UUID
    recorded_at: datetime
    party_id: UUID
    day: date
    total: MoneyAmount
    payment_ids: list[UUID]
    state: CtrState
    maker: str
    filed_by: str | None
    filed_at: datetime | None
    filed_reference: str | None
    reason: FreeText | None

    @classmethod
    def of(cls, row: CtrFiling) -> Self:
        said = row.model_dump(exclude={"total_paisa"})
        return cls(**said, total=MoneyAmount.of(row.total_paisa))


class StrCreate(Body):
    """Who is suspected, by which signs, and of what; the alerts named are escalated with it."""

    party_id: UUID
    indicators: Annotated[list[ShortText], Field(min_length=1, max_length=40)]
    narrative: LongText
    alert_ids: Annotated[tuple[UUID, ...], Field(max_length=100)] = ()


class StrRead(OfPerson):
    """A suspicion; whom it is about never sees it."""

    id: UUID
    recorded_at: datetime
    party_id: UUID
    indicators: list[FreeText]
    alert_ids: list[UUID]
    narrative: FreeText
    state: StrState
    maker: str
    decided_by: str | None
    decided_at: datetime | None
    filed_reference: str | None
    reason: FreeText | None

    @classmethod
    def of(cls, row: StrCase) -> Self:
        return cls.model_validate(row)

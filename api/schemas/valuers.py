"""The panel of valuers over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from api.schemas.common import Body, LongText, Read, ShortText


class PanelValuerCreate(Body):
    """Somebody proposed for the panel, by the subject of their token."""

    valuer: ShortText
    licence_no: ShortText
    begins_on: date
    ends_on: date | None = None


class PanelValuerEnd(Body):
    """The last day on the panel, and why."""

    ends_on: date
    reason: LongText


class PanelValuerRead(Read):
    """A place on the panel; it counts once `confirmed_by` stands."""

    id: UUID
    valuer: str
    licence_no: str
    begins_on: date
    ends_on: date | None
    proposed_by: str
    confirmed_by: str | None
    recorded_at: datetime

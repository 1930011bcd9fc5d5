"""The panel of valuers over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.schemas.common import Body, LongText, Read, ShortText
from registry.asset.models import AssetClass


class PanelValuerCreate(Body):
    """Somebody proposed for the panel, by the subject of their token.

    Without `asset_classes` or `regions` (ISO 3166-1 or 3166-2) nothing is limited. `party_id`
    says who they are, where they are recorded: they value nothing of their own.
    """

    valuer: ShortText
    licence_no: ShortText
    begins_on: date
    ends_on: date | None = None
    asset_classes: Annotated[list[AssetClass] | None, Field(max_length=len(AssetClass))] = None
    regions: Annotated[list[ShortText] | None, Field(max_length=200)] = None
    party_id: UUID | None = None


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
    asset_classes: list[AssetClass] | None
    regions: list[str] | None
    party_id: UUID | None
    proposed_by: str
    confirmed_by: str | None
    recorded_at: datetime

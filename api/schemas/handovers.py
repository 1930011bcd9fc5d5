"""Hand-overs of enrolments over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from api.schemas.common import Body, LongText, OfPerson, ShortText
from api.schemas.free_text import FreeText
from registry.handover.models import EnrolmentHandover, HandoverState


class HandoverCreate(Body):
    """Whose enrolment goes to which account, and which papers were seen."""

    party_id: UUID
    subject: Annotated[
        ShortText | None,
        Field(
            description="The account that gets it, as `/v1/me` names it. Without one, make an"
            " invitation for the enrolment afterwards."
        ),
    ] = None
    reason: LongText


class HandoverRead(OfPerson):
    """A hand-over. `investor_id` is the enrolment, once it is done."""

    id: UUID
    party_id: UUID
    subject: str | None
    reason: FreeText
    state: HandoverState
    proposed_by: str
    recorded_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None
    withdrawn_by: str | None
    withdrawn_at: datetime | None
    investor_id: UUID | None
    previous_subject: str | None

    @classmethod
    def of(cls, handover: EnrolmentHandover) -> Self:
        return cls(**handover.model_dump(), state=handover.state)

"""What happens to a registered asset, over HTTP: suspension, reinstatement, amendments."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import StringConstraints
from sqlmodel import Session

from api.schemas.assets import ApprovalRead, DossierFields
from api.schemas.common import Body, Read, Sha256Hex, ShortText
from api.schemas.free_text import FreeText
from registry.kernel.actor import Role
from registry.onboarding import service as onboarding
from registry.onboarding.models import Amendment, AmendmentState, CauseKind, SuspensionCause

LongText = Annotated[str, StringConstraints(min_length=3, max_length=2000)]


class SuspensionCreate(Body):
    """Why dealings must stop; `reference` names the policy, report or letter behind it."""

    kind: CauseKind
    reference: ShortText
    reason: LongText


class CauseRead(Read):
    """One cause of a suspension."""

    id: UUID
    kind: CauseKind
    reference: str
    reason: FreeText
    by_court: bool
    opened_by: str
    recorded_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    closing: FreeText | None

    @classmethod
    def of(cls, cause: SuspensionCause) -> Self:
        return cls.model_validate(cause)


class StandingRead(Read):
    """The causes of the present suspension, and who must still agree to end it."""

    standing_hash: str
    causes: list[CauseRead]
    given: list[ApprovalRead]
    missing: dict[Role, int]


class ReinstatementCreate(Body):
    """Agreement to end a suspension whose standing one has read."""

    role: Role
    standing_hash: Sha256Hex


class RetirementCreate(Body):
    """Why an asset leaves the register; `loss_document_id` shows that a suspended one is lost."""

    reason: LongText
    loss_document_id: UUID | None = None


class AmendmentCreate(DossierFields):
    """A corrected dossier of a registered asset, and why; owners change by a mutation."""

    reason: LongText


class AmendmentDecision(Body):
    """Agreement to exactly the amendment that one has read."""

    amended_hash: Sha256Hex


class AmendmentRead(Read):
    """What an amendment changes, from what to what."""

    id: UUID
    asset_id: UUID
    state: AmendmentState
    reason: FreeText
    diff: dict[str, Any]
    amended_hash: str
    maker: str
    checker: str | None
    recorded_at: datetime
    decided_at: datetime | None

    @classmethod
    def of(cls, session: Session, amendment: Amendment) -> Self:
        return cls(
            **amendment.model_dump(exclude={"amended_hash", "after"}),
            amended_hash=onboarding.hash_to_approve(session, amendment).hex(),
        )

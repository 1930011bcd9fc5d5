"""Approvals, causes of a suspension and amendments: what people decided of which dossier."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.kernel.columns import Record, binary, document, enumeration, instant


class ApprovalState(StrEnum):
    """How an approval stands now."""

    LIVE = "LIVE"
    EXPIRED = "EXPIRED"
    VOID = "VOID"


class Approval(Record, table=True):
    """One person's agreement, in one role, to the dossier of one hash (APR-01).

    An edit changes the hash, so every approval given before it counts no more. `voided_at` is
    when a new review took it away, or its person gave it again.
    """

    __table_args__ = (
        CheckConstraint(
            "acting_person(person) <> acting_person(maker)", name="ck_approval_four_eyes"
        ),
        Index(
            "uq_approval_person",
            "subject_id",
            "dossier_hash",
            "person",
            unique=True,
            postgresql_where=text("voided_at IS NULL"),
        ),
    )

    subject_kind: str
    subject_id: UUID = Field(index=True)
    role: Role = enumeration(Role)
    person: str
    maker: str
    dossier_hash: bytes = binary()
    expires_at: AwareDatetime = instant(nullable=False)
    voided_at: AwareDatetime | None = instant()

    def state_of(self, dossier_hash: bytes) -> ApprovalState:
        """Say how it stands while the dossier has this hash."""
        if self.voided_at is not None or self.dossier_hash != dossier_hash:
            return ApprovalState.VOID
        return ApprovalState.LIVE if self.expires_at > now() else ApprovalState.EXPIRED


class CauseKind(StrEnum):
    """Why an asset is suspended; each ends in its own way."""

    ENCUMBRANCE = "ENCUMBRANCE"
    COURT_ORDER = "COURT_ORDER"
    FAILED_VERIFICATION = "FAILED_VERIFICATION"
    INSURANCE_EXPIRED = "INSURANCE_EXPIRED"
    RECEIPT_EXPIRED = "RECEIPT_EXPIRED"
    LEASE_EXPIRED = "LEASE_EXPIRED"
    FORCED_SALE = "FORCED_SALE"
    TITLE_CHANGED = "TITLE_CHANGED"


class SuspensionCause(Record, table=True):
    """One reason for which an asset is suspended; it is reinstated when none is open.

    `reference` names what the cause comes from: an encumbrance's id, a case number. A cause
    belongs to the present suspension until the asset is reinstated, at `reinstated_at`.
    """

    __tablename__ = "suspension_cause"
    __table_args__ = (
        Index(
            "uq_suspension_cause_open",
            "asset_id",
            "kind",
            "reference",
            unique=True,
            postgresql_where=text("closed_at IS NULL"),
        ),
    )

    asset_id: UUID = Field(foreign_key="asset.id", index=True)
    kind: CauseKind = enumeration(CauseKind)
    reference: str
    reason: str
    by_court: bool = False
    opened_by: str
    closed_at: AwareDatetime | None = instant()
    closed_by: str | None = None
    closing: str | None = None
    reinstated_at: AwareDatetime | None = instant()


class AmendmentState(StrEnum):
    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"
    CANCELLED = "CANCELLED"


class Amendment(Record, table=True):
    """A correction of a registered dossier: what changes, from what to what.

    `after` is the corrected dossier, `diff` maps each changed field to its two values, and
    `amended_hash` is what the checker agrees to.
    """

    __table_args__ = (
        Index(
            "uq_amendment_open",
            "asset_id",
            unique=True,
            postgresql_where=text("state = 'PROPOSED'"),
        ),
        CheckConstraint(
            "acting_person(checker) <> acting_person(maker)", name="ck_amendment_four_eyes"
        ),
    )

    asset_id: UUID = Field(foreign_key="asset.id", index=True)
    state: AmendmentState = enumeration(AmendmentState, default=AmendmentState.PROPOSED)
    reason: str
    after: dict[str, Any] = document()
    diff: dict[str, Any] = document()
    amended_hash: bytes = binary()
    maker: str
    checker: str | None = None
    decided_at: AwareDatetime | None = instant()

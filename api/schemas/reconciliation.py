"""Breaks and statements of the register of record over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from api.schemas.common import BigInteger, Body, LongText, Read, ShortText, Units
from api.schemas.free_text import FreeTexts
from registry.kernel.actor import Role
from registry.reconciliation.models import BreakState
from registry.wrapper.models import RegisterOfRecord


class BreakRead(Read):
    """One difference between what should be and what is."""

    id: UUID
    tokenization_id: UUID
    rule: str
    subject: str
    detail: str
    state: BreakState
    recorded_at: datetime
    last_seen_at: datetime
    fix: FreeTexts | None
    investigated_by: str | None
    proposed_by: str | None
    closed_by: str | None


class FixCreate(Body):
    """A compensating entry, never an edit of what was."""

    explanation: LongText
    reference: ShortText


class LossAccepted(Body):
    """Agreement, in one role, to write the difference off."""

    role: Role
    reason: LongText


class StatementLine(Body):
    """One holder on the register of record."""

    party_id: UUID
    units: Units


class StatementCreate(Body):
    """The register of record at the end of a day."""

    as_of: date
    rows: Annotated[list[StatementLine], Field(min_length=1, max_length=20_000)]

    def lines(self) -> list[tuple[UUID, int]]:
        return [(row.party_id, int(row.units)) for row in self.rows]


class StatementRead(Read):
    """A statement that was filed, and how many holders differed from the token."""

    id: UUID
    tokenization_id: UUID
    register_of_record: RegisterOfRecord
    as_of: date
    block_number: BigInteger
    differences: int
    uploaded_by: str
    recorded_at: datetime

"""Complaints: what somebody is dissatisfied with, and what became of it."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, enumeration, instant


class ComplaintKind(StrEnum):
    SERVICE = "SERVICE"
    PAYMENT = "PAYMENT"
    HOLDING = "HOLDING"
    DISCLOSURE = "DISCLOSURE"
    PRIVACY = "PRIVACY"
    CONDUCT = "CONDUCT"
    OTHER = "OTHER"


class ComplaintState(StrEnum):
    RECEIVED = "RECEIVED"
    INVESTIGATING = "INVESTIGATING"
    RESOLVED = "RESOLVED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"


class Complaint(Record, table=True):
    """One complaint.

    Parameters
    ----------
    party_id
        Who complains; None of somebody whom we do not know.
    said
        In their own words.
    loss_paisa
        What they say that they have lost; None where they say nothing of it.
    received_at
        When it reached us, which may have been on paper.
    maker
        Who recorded it: the complainant by the phone, or an officer.
    answer
        What they are told when it ends.
    """

    __table_args__ = (CheckConstraint("loss_paisa >= 0", name="ck_complaint_loss"),)

    kind: ComplaintKind = enumeration(ComplaintKind)
    party_id: UUID | None = Field(default=None, foreign_key="party.id", index=True)
    tokenization_id: UUID | None = Field(default=None, foreign_key="tokenization.id")
    said: str
    loss_paisa: int | None = bigint(default=None)
    received_at: AwareDatetime = instant(nullable=False)
    state: ComplaintState = enumeration(ComplaintState, default=ComplaintState.RECEIVED)
    maker: str
    investigated_by: str | None = None
    closed_by: str | None = None
    closed_at: AwareDatetime | None = instant()
    answer: str | None = None

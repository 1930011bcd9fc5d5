"""Enrolments that are handed over to whom they are about."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from registry.kernel.columns import Record, instant


class HandoverState(StrEnum):
    PROPOSED = "PROPOSED"
    DONE = "DONE"
    WITHDRAWN = "WITHDRAWN"


class EnrolmentHandover(Record, table=True):
    """One officer's word, and another's, that a party is somebody else than who is enrolled.

    Parameters
    ----------
    party_id
        Whose enrolment it is.
    subject
        The account that gets it, as the identity provider names it. None: one of its own, to which
        an invitation leads.
    investor_id
        The enrolment, once it is handed over.
    previous_subject
        The account that had it.
    """

    __tablename__ = "enrolment_handover"
    __table_args__ = (
        CheckConstraint(
            "acting_person(confirmed_by) <> acting_person(proposed_by)",
            name="ck_enrolment_handover_four_eyes",
        ),
        CheckConstraint(
            "(confirmed_by IS NULL) = (investor_id IS NULL)"
            " AND (confirmed_by IS NULL OR withdrawn_by IS NULL)",
            name="ck_enrolment_handover_done",
        ),
        Index(
            "uq_enrolment_handover_open",
            "party_id",
            unique=True,
            postgresql_where=text("confirmed_by IS NULL AND withdrawn_by IS NULL"),
        ),
    )

    party_id: UUID = Field(foreign_key="party.id", index=True)
    subject: str | None = None
    reason: str
    proposed_by: str
    confirmed_by: str | None = None
    confirmed_at: AwareDatetime | None = instant()
    withdrawn_by: str | None = None
    withdrawn_at: AwareDatetime | None = instant()
    investor_id: UUID | None = Field(default=None, foreign_key="investor.id")
    previous_subject: str | None = None

    @property
    def state(self) -> HandoverState:
        if self.confirmed_by is not None:
            return HandoverState.DONE
        return HandoverState.PROPOSED if self.withdrawn_by is None else HandoverState.WITHDRAWN

"""What is filed with the Financial Monitoring Unit: currency transactions and suspicions."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Index, text
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, document, enumeration, instant


class CtrState(StrEnum):
    PREPARED = "PREPARED"
    FILED = "FILED"
    WITHDRAWN = "WITHDRAWN"


class StrState(StrEnum):
    OPENED = "OPENED"
    FILED = "FILED"
    CLOSED = "CLOSED"


class CtrFiling(Record, table=True):
    """A currency transaction report of one party and one day.

    What is identified after it was filed has another one; no payment is in two that stand.

    Parameters
    ----------
    payment_ids
        What it adds up.
    filed_reference
        By which the FMU (goAML) knows it.
    """

    __tablename__ = "ctr_filing"
    __table_args__ = (
        CheckConstraint("total_paisa > 0", name="ck_ctr_filing_total"),
        CheckConstraint(
            "acting_person(filed_by) <> acting_person(maker)", name="ck_ctr_filing_four_eyes"
        ),
        CheckConstraint(
            "state = 'FILED' OR filed_reference IS NULL", name="ck_ctr_filing_reference"
        ),
        Index(
            "uq_ctr_filing_day",
            "party_id",
            "day",
            unique=True,
            postgresql_where=text("state = 'PREPARED'"),
        ),
    )

    party_id: UUID = Field(foreign_key="party.id")
    day: date
    total_paisa: int = bigint()
    payment_ids: list[str] = document(default_factory=list)
    state: CtrState = enumeration(CtrState, default=CtrState.PREPARED)
    maker: str
    filed_by: str | None = None
    filed_at: AwareDatetime | None = instant()
    filed_reference: str | None = Field(default=None, unique=True)
    reason: str | None = None


class StrCase(Record, table=True):
    """A suspicion of one party; never told to whom it is about (AMLA 2010 s.7).

    Parameters
    ----------
    indicators
        What makes it suspicious, each in a few words.
    alert_ids
        The alerts that it follows from.
    narrative
        In the officer's own words.
    """

    __tablename__ = "str_case"
    __table_args__ = (
        CheckConstraint(
            "acting_person(decided_by) <> acting_person(maker)", name="ck_str_case_four_eyes"
        ),
        CheckConstraint("state = 'FILED' OR filed_reference IS NULL", name="ck_str_case_reference"),
    )

    party_id: UUID = Field(foreign_key="party.id", index=True)
    indicators: list[str] = document()
    alert_ids: list[str] = document(default_factory=list)
    narrative: str
    state: StrState = enumeration(StrState, default=StrState.OPENED)
    maker: str
    decided_by: str | None = None
    decided_at: AwareDatetime | None = instant()
    filed_reference: str | None = Field(default=None, unique=True)
    reason: str | None = None

"""Breaks between what should be and what is, and the statements of the register of record."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Column, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, enumeration, instant, uint256
from registry.wrapper.models import RegisterOfRecord


class BreakState(StrEnum):
    OPEN = "OPEN"
    INVESTIGATING = "INVESTIGATING"
    FIX_PROPOSED = "FIX_PROPOSED"
    RESOLVED = "RESOLVED"
    WRITTEN_OFF = "WRITTEN_OFF"


CLOSED = (BreakState.RESOLVED, BreakState.WRITTEN_OFF)


class ReconciliationBreak(Record, table=True):
    """One difference, open until it is fixed or accepted as a loss.

    Parameters
    ----------
    rule
        The rule of reconciliation that found it: TOK-03, TOK-07, TOK-08, REG-01, ORD-01.
    subject
        What differs: a party, an address, an event, an order. Never a name.
    last_seen_at
        The newest run that found it again.
    """

    __tablename__ = "reconciliation_break"
    __table_args__ = (
        Index(
            "uq_reconciliation_break_open",
            "tokenization_id",
            "rule",
            "subject",
            unique=True,
            postgresql_where=text("state NOT IN ('RESOLVED', 'WRITTEN_OFF')"),
        ),
    )

    tokenization_id: UUID = Field(foreign_key="tokenization.id", index=True)
    rule: str
    subject: str
    detail: str
    state: BreakState = enumeration(BreakState, default=BreakState.OPEN)
    last_seen_at: AwareDatetime = instant(nullable=False)
    fix: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    investigated_by: str | None = None
    proposed_by: str | None = None
    closed_by: str | None = None


class RegisterStatement(Record, table=True):
    """What the register of record says of one token's holders at the end of one day."""

    __tablename__ = "register_statement"

    tokenization_id: UUID = Field(foreign_key="tokenization.id", index=True)
    register_of_record: RegisterOfRecord = enumeration(RegisterOfRecord)
    as_of: date
    block_number: int = bigint()
    uploaded_by: str
    differences: int


class RegisterStatementRow(Record, table=True):
    """One holder on a statement."""

    __tablename__ = "register_statement_row"
    __table_args__ = (
        UniqueConstraint("statement_id", "party_id", name="uq_register_statement_row"),
        CheckConstraint("units > 0", name="ck_register_statement_row_units"),
    )

    statement_id: UUID = Field(foreign_key="register_statement.id")
    party_id: UUID = Field(foreign_key="party.id")
    units: int = uint256()

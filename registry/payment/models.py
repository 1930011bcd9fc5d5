"""Statements of the bank, each line with what became of it; and payouts to issuers."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, binary, enumeration, instant


class StatementFormat(StrEnum):
    CAMT_053 = "CAMT_053"
    CSV = "CSV"


class LineOutcome(StrEnum):
    BOOKED = "BOOKED"
    """Nobody had told us of it."""
    KNOWN = "KNOWN"
    """Booked before: a receipt, a reversal, a refund or a payout."""
    DIFFERS = "DIFFERS"
    """We know the reference, with other facts; nothing is booked."""
    UNKNOWN = "UNKNOWN"
    """Money left, or was taken back, and we do not know of what; nothing is booked."""
    PENDING = "PENDING"
    """The bank itself has not booked it."""


class BankStatement(Record, table=True):
    """A statement of our account; the file itself is not kept, it names people.

    Parameters
    ----------
    sha256
        Of the file: the same one is read once.
    account_hint
        The account, masked.
    ledger_paisa
        What we had at the bank by our own books, once the statement was booked.
    gap_paisa
        Its opening balance less the closing balance of the statement before; None for the first.
    """

    __tablename__ = "bank_statement"

    sha256: bytes = binary(unique=True)
    file_format: StatementFormat = enumeration(StatementFormat)
    account_hint: str | None = None
    closed_on: date
    opening_paisa: int = bigint()
    closing_paisa: int = bigint()
    ledger_paisa: int = bigint()
    gap_paisa: int | None = bigint(default=None)
    uploaded_by: str


class BankStatementLine(Record, table=True):
    """One line.

    Parameters
    ----------
    amount_paisa
        What came, above 0, or left, below.
    payment_id
        The receipt, or that which was taken back.
    """

    __tablename__ = "bank_statement_line"
    __table_args__ = (UniqueConstraint("statement_id", "line_no", name="uq_bank_statement_line"),)

    statement_id: UUID = Field(foreign_key="bank_statement.id")
    line_no: int
    bank_reference: str
    booked_on: date
    amount_paisa: int = bigint()
    outcome: LineOutcome = enumeration(LineOutcome)
    payment_id: UUID | None = Field(default=None, foreign_key="payment.id", index=True)


class ProceedsPayoutState(StrEnum):
    PROPOSED = "PROPOSED"
    PAID = "PAID"
    REJECTED = "REJECTED"


class ProceedsPayout(Record, table=True):
    """What a sale has brought, on its way to the issuer: by two people of treasury.

    Parameters
    ----------
    rail_reference
        The bank's own name of the transfer, once it is PAID.
    """

    __tablename__ = "proceeds_payout"
    __table_args__ = (
        CheckConstraint("amount_paisa > 0", name="ck_proceeds_payout_amount"),
        CheckConstraint(
            "state <> 'PAID' OR acting_person(decided_by) <> acting_person(proposed_by)",
            name="ck_proceeds_payout_four_eyes",
        ),
        CheckConstraint(
            "(state = 'PAID') = (rail_reference IS NOT NULL)", name="ck_proceeds_payout_reference"
        ),
    )

    offering_id: UUID = Field(foreign_key="offering.id", index=True)
    amount_paisa: int = bigint()
    state: ProceedsPayoutState = enumeration(
        ProceedsPayoutState, default=ProceedsPayoutState.PROPOSED
    )
    proposed_by: str
    decided_by: str | None = None
    decided_at: AwareDatetime | None = instant()
    rail_reference: str | None = Field(default=None, unique=True)

"""Statements of the bank and payouts of proceeds, over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Self
from uuid import UUID

from sqlmodel import Session

from api.schemas.common import Body, MoneyAmount, Read
from api.schemas.payments import SignedMoney
from registry.payment import statements
from registry.payment.models import (
    BankStatement,
    BankStatementLine,
    LineOutcome,
    ProceedsPayout,
    ProceedsPayoutState,
    StatementFormat,
)


class BankStatementRead(Read):
    """A statement beside our books.

    `difference` is its closing balance less `ledger`, what we had at the bank by our own books when
    it was read; `gap` its opening balance less the closing balance of the statement before.
    """

    id: UUID
    file_format: StatementFormat
    sha256: str
    account_hint: str | None
    closed_on: date
    opening_balance: SignedMoney
    closing_balance: SignedMoney
    ledger: SignedMoney
    difference: SignedMoney
    gap: SignedMoney | None
    lines: dict[LineOutcome, int]
    uploaded_by: str
    recorded_at: datetime

    @classmethod
    def read(cls, session: Session, row: BankStatement) -> Self:
        return cls(
            **row.model_dump(exclude={"sha256"}),
            sha256=row.sha256.hex(),
            opening_balance=SignedMoney.of(row.opening_paisa),
            closing_balance=SignedMoney.of(row.closing_paisa),
            ledger=SignedMoney.of(row.ledger_paisa),
            difference=SignedMoney.of(row.closing_paisa - row.ledger_paisa),
            gap=None if row.gap_paisa is None else SignedMoney.of(row.gap_paisa),
            lines=dict(statements.count_outcomes(session, row.id)),
        )


class BankStatementLineRead(Read):
    """A line, and what became of it."""

    line_no: int
    bank_reference: str
    booked_on: date
    amount: SignedMoney
    outcome: LineOutcome
    payment_id: UUID | None

    @classmethod
    def of(cls, row: BankStatementLine) -> Self:
        return cls(**row.model_dump(), amount=SignedMoney.of(row.amount_paisa))


class ProceedsPayoutCreate(Body):
    """How much the issuer is to be paid."""

    amount: MoneyAmount


class ProceedsPayoutRead(Read):
    """A payout of a sale's proceeds."""

    id: UUID
    offering_id: UUID
    amount: MoneyAmount
    state: ProceedsPayoutState
    proposed_by: str
    decided_by: str | None
    decided_at: datetime | None
    rail_reference: str | None
    recorded_at: datetime

    @classmethod
    def of(cls, row: ProceedsPayout) -> Self:
        return cls(**row.model_dump(), amount=MoneyAmount.of(row.amount_paisa))


class ProceedsRead(Read):
    """What can be paid to the issuer now, and what was; below 0 where buyers owe more."""

    payable: SignedMoney
    payouts: list[ProceedsPayoutRead]

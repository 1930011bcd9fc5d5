"""Use cases on the bank's statements: read one, book what nobody told us, show what we lack."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.ids import new_id
from registry.kernel.masking import mask_iban
from registry.kernel.rows import get_row, insert_many, page_after
from registry.ledger import service as ledger
from registry.ledger.models import Account
from registry.payment.camt import read_camt
from registry.payment.models import (
    BankStatement,
    BankStatementLine,
    LineOutcome,
    StatementFormat,
)
from registry.payment.recognising import hold_notices
from registry.payment.statement_booking import Found, book_lines
from registry.payment.statement_files import (
    StatementFile,
    StatementLine,
    check_statement,
    read_csv,
)


def import_statement(session: Session, actor: Actor, content: bytes) -> tuple[BankStatement, bool]:
    """Book a statement whole, or nothing of it; the same file again changes nothing.

    Returns
    -------
    tuple
        The statement, and whether it is new.

    Raises
    ------
    Invalid
        ``statement_unreadable``, ``statement_currency_refused``, ``statement_does_not_add_up``,
        ``statement_too_long``, ``money_malformed``, ``payment_amount_too_large``.
    """
    is_xml = content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") or content[:2] in _UTF_16
    read = check_statement(read_camt(content) if is_xml else read_csv(content))
    # Another day that is being read is what this one follows.
    hold_notices(session)
    row = BankStatement(
        sha256=hashlib.sha256(content).digest(),
        file_format=StatementFormat.CAMT_053 if is_xml else StatementFormat.CSV,
        account_hint=mask_iban(read.account) if read.account else None,
        closed_on=read.closed_on,
        opening_paisa=read.opening_paisa,
        closing_paisa=read.closing_paisa,
        gap_paisa=_gap(session, read),
        ledger_paisa=0,
        uploaded_by=actor.subject,
    )
    if not _claim(session, row):
        same = select(BankStatement).where(col(BankStatement.sha256) == row.sha256)
        return session.exec(same).one(), False
    outcomes = book_lines(session, read.lines)
    if read.lines:
        session.execute(insert_many(BankStatementLine, _rows(row.id, read.lines, outcomes)))
    stored = session.get_one(BankStatement, row.id)
    stored.ledger_paisa = ledger.balance_of(session, Account.BANK)
    session.flush()
    journal.record(
        session, actor, "bank_statement_imported", "bank_statement", stored.id,
        sha256=stored.sha256.hex(), lines=str(len(read.lines)),
        difference_paisa=str(stored.closing_paisa - stored.ledger_paisa),
    )  # fmt: skip
    return stored, True


_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def _claim(session: Session, row: BankStatement) -> bool:
    added = session.execute(
        insert(BankStatement)
        .values(**row.model_dump())
        .on_conflict_do_nothing(index_elements=["sha256"])
        .returning(col(BankStatement.id))
    )
    return added.first() is not None


def _gap(session: Session, read: StatementFile) -> int | None:
    before = session.exec(
        select(BankStatement.closing_paisa)
        .where(col(BankStatement.closed_on) <= read.closed_on)
        .order_by(col(BankStatement.closed_on).desc(), col(BankStatement.id).desc())
        .limit(1)
    ).first()
    return None if before is None else read.opening_paisa - before


def _rows(
    statement_id: UUID, lines: Sequence[StatementLine], outcomes: Sequence[Found]
) -> list[dict[str, object]]:
    return [
        {
            "id": new_id(),
            "recorded_at": now(),
            "statement_id": statement_id,
            "line_no": number,
            "bank_reference": line.reference,
            "booked_on": line.booked_on,
            "amount_paisa": line.amount_paisa,
            "outcome": outcome,
            "payment_id": payment_id,
        }
        for number, (line, (outcome, payment_id)) in enumerate(
            zip(lines, outcomes, strict=True), start=1
        )
    ]


def get_statement(session: Session, statement_id: UUID) -> BankStatement:
    """Return the statement.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, BankStatement, statement_id, kind="bank_statement")


def list_statements(session: Session, *, after: UUID | None, limit: int) -> Sequence[BankStatement]:
    """List statements in the order in which they were read."""
    query = select(BankStatement)
    return session.exec(page_after(query, col(BankStatement.id), after=after, limit=limit)).all()


def list_lines(
    session: Session, statement_id: UUID, *, outcome: LineOutcome | None, after: int, limit: int
) -> Sequence[BankStatementLine]:
    """List lines in the order of the file."""
    query = select(BankStatementLine).where(
        col(BankStatementLine.statement_id) == statement_id,
        col(BankStatementLine.line_no) > after,
    )
    if outcome is not None:
        query = query.where(col(BankStatementLine.outcome) == outcome)
    return session.exec(query.order_by(col(BankStatementLine.line_no)).limit(limit)).all()


def count_outcomes(session: Session, statement_id: UUID) -> Mapping[LineOutcome, int]:
    """Count the lines by what became of them."""
    rows = session.exec(
        select(BankStatementLine.outcome, func.count())
        .where(col(BankStatementLine.statement_id) == statement_id)
        .group_by(col(BankStatementLine.outcome))
    )
    return {LineOutcome(outcome): int(number) for outcome, number in rows}

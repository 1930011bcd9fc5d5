"""Use cases on the bank's statements: read one, book what nobody told us, show what we lack."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, time
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from registry.journal import service as journal
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, NotFound
from registry.kernel.ids import new_id
from registry.kernel.masking import mask_iban
from registry.kernel.rows import among, get_row, insert_many, page_after
from registry.ledger import service as ledger
from registry.ledger.models import Account
from registry.offering.models import Payment, Refund
from registry.payment.camt import read_camt
from registry.payment.models import (
    BankStatement,
    BankStatementLine,
    LineOutcome,
    ProceedsPayout,
    StatementFormat,
)
from registry.payment.rails import BANK, Receipt, Reversal, masked_payer
from registry.payment.receiving import Answer, Verdict, book_receipts
from registry.payment.reversing import reverse_receipt
from registry.payment.statement_files import (
    StatementFile,
    StatementLine,
    check_statement,
    read_csv,
)

Found = tuple[LineOutcome, UUID | None]

_VERDICTS = {
    Verdict.BOOKED: LineOutcome.BOOKED,
    Verdict.KNOWN: LineOutcome.KNOWN,
    Verdict.DIFFERS: LineOutcome.DIFFERS,
}


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
    outcomes = _book(session, read.lines)
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


def _book(session: Session, lines: Sequence[StatementLine]) -> list[Found]:
    """Book receipts first, in one set: what the file takes back may have come in it."""
    told = list(zip(lines, _told_apart(lines), strict=True))
    came = [_receipt(line, name) for line, name in told if line.booked and line.amount_paisa > 0]
    back = {name for line, name in told if line.booked and line.reverses}
    answers = iter(book_receipts(session, BANK, came, taken_back=back))
    sent = _sent(session, lines)
    found: list[Found] = []
    for line, name in told:
        if not line.booked:
            found.append((LineOutcome.PENDING, None))
        elif line.amount_paisa > 0:
            found.append(_received(next(answers)))
        elif line.reverses:
            found.append(_taken_back(session, line, name))
        else:
            found.append((_left(line, name, sent), None))
    return found


def _told_apart(lines: Sequence[StatementLine]) -> Iterator[str]:
    """Give the reference of what each line is about, with a number where the file repeats it.

    The file adds up, so each of its lines has moved money: two of one reference are two payments.
    """
    seen: Counter[tuple[bool, str]] = Counter()
    for line in lines:
        name = line.reverses or line.reference
        if line.booked:
            seen[line.amount_paisa > 0, name] += 1
        number = seen[line.amount_paisa > 0, name]
        yield name if number <= 1 else f"{name}#{number}"


def _receipt(line: StatementLine, name: str) -> Receipt:
    midnight = datetime.combine(line.booked_on, time(), tzinfo=UTC)
    hint = masked_payer(line.payer) if line.payer else None
    return Receipt(name, line.said, line.amount_paisa, midnight, hint)


def _received(answer: Answer) -> Found:
    return _VERDICTS[answer.verdict], answer.payment.id


def _taken_back(session: Session, line: StatementLine, reverses: str) -> Found:
    midnight = datetime.combine(line.booked_on, time(), tzinfo=UTC)
    known = session.exec(select(Payment.state).where(col(Payment.rail_reference) == reverses))
    before = known.first()
    try:
        payment = reverse_receipt(
            session, BANK, Reversal(line.reference, reverses, -line.amount_paisa, midnight)
        )
    except NotFound:
        # Of one receipt that is taken back twice, we know the reference.
        return LineOutcome.UNKNOWN if reverses == line.reverses else LineOutcome.DIFFERS, None
    except Conflict:
        return LineOutcome.DIFFERS, None
    told_before = before == payment.state
    return LineOutcome.KNOWN if told_before else LineOutcome.BOOKED, payment.id


def _sent(session: Session, lines: Sequence[StatementLine]) -> Mapping[str, int]:
    """Return what treasury recorded as sent by these references, in paisa."""
    references = [line.reference for line in lines if line.amount_paisa < 0]
    return {
        reference: paisa
        for table in (Refund, ProceedsPayout)
        for reference, paisa in session.exec(
            select(table.rail_reference, table.amount_paisa).where(
                among(col(table.rail_reference), references)
            )
        )
        if reference is not None
    }


def _left(line: StatementLine, name: str, sent: Mapping[str, int]) -> LineOutcome:
    if line.reference not in sent:
        return LineOutcome.UNKNOWN
    # What was recorded once and left twice is another transfer.
    same = name == line.reference and sent[line.reference] == -line.amount_paisa
    return LineOutcome.KNOWN if same else LineOutcome.DIFFERS


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

"""What a bank's statement says, whatever its file looks like; and the CSV form."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from registry.kernel.clock import today
from registry.kernel.errors import Invalid
from registry.kernel.money import Money
from registry.payment.rules import is_to_come

MAX_LINES = 20_000
MAX_REFERENCE = 200
HEADER = (
    "booked_on",
    "bank_reference",
    "amount",
    "balance",
    "order_reference",
    "payer",
    "reverses",
)


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One movement of the account.

    Parameters
    ----------
    amount_paisa
        What came, above 0, or left, below.
    said
        The payer's words.
    reverses
        Reference of the receipt that it takes back.
    booked
        Whether the bank has booked it, or only announces it.
    number
        What the bank numbers it by, where the file names it by nothing else: it may be a
        position in this statement alone. The reference is then made of account, day and number.
    """

    reference: str
    amount_paisa: int
    booked_on: date
    said: str | None = None
    payer: str | None = None
    reverses: str | None = None
    booked: bool = True
    number: str | None = None


@dataclass(frozen=True, slots=True)
class StatementFile:
    """A statement as it was read."""

    account: str | None
    closed_on: date
    opening_paisa: int
    closing_paisa: int
    lines: Sequence[StatementLine]


def unreadable(detail: str) -> Invalid:
    return Invalid(
        "statement_unreadable",
        detail,
        field="/file",
        remedy="Send the bank's camt.053 file, or CSV with the header of docs/guides/payments.md.",
    )


def check_statement(read: StatementFile) -> StatementFile:
    """Refuse a statement that is cut off or contradicts itself: nothing of it is booked.

    Raises
    ------
    Invalid
        ``statement_unreadable``, ``statement_does_not_add_up``, ``statement_too_long``.
    """
    _require_come(read.closed_on)
    if len(read.lines) > MAX_LINES:
        raise Invalid(
            "statement_too_long",
            f"It has {len(read.lines)} lines; at most {MAX_LINES} are read.",
            remedy="Ask the bank for shorter periods.",
        )
    for number, line in enumerate(read.lines, start=1):
        if not 0 < len(line.reference) <= MAX_REFERENCE or not line.reference.isprintable():
            raise unreadable(f"Line {number} has no reference of the bank that could be kept.")
        if line.amount_paisa == 0:
            raise unreadable(f"Line {number} moves nothing.")
        if line.reverses and line.amount_paisa > 0:
            raise unreadable(f"Line {number} takes money back that comes.")
        if line.booked:  # what the bank only announces may be of a later day
            _require_come(line.booked_on)
    moved = sum(line.amount_paisa for line in read.lines if line.booked)
    if read.opening_paisa + moved != read.closing_paisa:
        raise Invalid(
            "statement_does_not_add_up",
            f"From {signed(read.opening_paisa)}, its lines move {signed(moved)}, and it closes "
            f"with {signed(read.closing_paisa)}.",
            field="/file",
            remedy="Fetch the whole file from the bank again.",
        )
    return read


def _require_come(day: date) -> None:
    if is_to_come(day, today()):
        raise unreadable(f"{day} has not come yet.")


def signed(paisa: int) -> str:
    return f"{'-' if paisa < 0 else ''}{Money(abs(paisa))}"


def parse_signed(text: str) -> int:
    """Read an amount that may have a sign.

    Raises
    ------
    Invalid
        ``money_malformed``.
    """
    paisa = Money.parse(text.removeprefix("-"), field="/file").paisa
    return -paisa if text.startswith("-") else paisa


def read_date(text: str | None) -> date:
    """Read a day as ISO 8601 writes it; of a time, its day.

    Raises
    ------
    Invalid
        ``statement_unreadable``.
    """
    match = re.match(r"\d{4}-\d{2}-\d{2}(?=$|[TZ+-])", text or "")
    try:
        return date.fromisoformat(match[0] if match else "")
    except ValueError as error:
        raise unreadable(f"{text!r} is no date.") from error


def read_csv(content: bytes) -> StatementFile:
    """Read CSV in UTF-8: one line for each movement, with the balance after it.

    Raises
    ------
    Invalid
        ``statement_unreadable``, ``statement_does_not_add_up``, ``money_malformed``.
    """
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise unreadable(f"It is no CSV in UTF-8: {error}.") from error
    if not rows or tuple(rows[0]) != HEADER:
        raise unreadable(f"Its first line is not {','.join(HEADER)}.")
    lines, balances = [], []
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(HEADER):
            raise unreadable(f"Line {number} has {len(row)} fields, not {len(HEADER)}.")
        booked_on, reference, amount, balance, said, payer, reverses = map(str.strip, row)
        lines.append(
            StatementLine(
                reference,
                parse_signed(amount),
                read_date(booked_on),
                said or None,
                payer or None,
                reverses or None,
            )
        )
        balances.append(parse_signed(balance))
    if not lines:
        raise unreadable("It has no line.")
    opening = balances[0] - lines[0].amount_paisa
    running = opening
    for number, (line, balance_paisa) in enumerate(zip(lines, balances, strict=True), start=1):
        running += line.amount_paisa
        if running != balance_paisa:
            raise Invalid(
                "statement_does_not_add_up",
                f"After line {number} the balance should be {signed(running)}.",
                field="/file",
                remedy="Fetch the whole file from the bank again.",
            )
    return StatementFile(None, lines[-1].booked_on, opening, running, lines)

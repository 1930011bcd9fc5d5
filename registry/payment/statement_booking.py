"""Use case: book the lines of one statement, each movement of the account once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from uuid import UUID

from sqlmodel import Session, col, select

from registry.kernel.rows import among
from registry.offering.models import Payment, PaymentState
from registry.offering.transfers import sent_by
from registry.payment.matching import Facts, match
from registry.payment.models import BankStatementLine, LineOutcome
from registry.payment.rails import BANK, Receipt, Reversal, masked_payer
from registry.payment.receiving import book_receipts
from registry.payment.recognising import (
    Groups,
    Recognised,
    key_of,
    midnight,
    numbers_in,
    payments_of,
    recognise_receipts,
    recognise_reversals,
)
from registry.payment.reversing import reverse_payment
from registry.payment.statement_files import StatementLine

Found = tuple[LineOutcome, UUID | None]
Numbered = Sequence[tuple[int, StatementLine]]
"""Lines with their places in the file."""


def book_lines(session: Session, lines: Sequence[StatementLine]) -> list[Found]:
    """Say what each line is, and book what is new; whoever calls it holds notices.

    Receipts come first, in one set: what the file takes back may have come in it.
    """
    booked = [(place, line) for place, line in enumerate(lines) if line.booked]
    came = {place: _receipt(line) for place, line in booked if line.amount_paisa > 0}
    back = {place: _reversal(line, line.reverses) for place, line in booked if line.reverses}
    found: dict[int, Found] = {}
    known = payments_of(session, [*came.values(), *back.values()])
    found |= _receive(session, came, list(back.values()), known)
    found |= _take_back(session, back)
    left = [(n, line) for n, line in booked if line.amount_paisa < 0 and not line.reverses]
    found |= {place: (outcome, None) for place, outcome in _left(session, left).items()}
    return [found.get(place, (LineOutcome.PENDING, None)) for place in range(len(lines))]


def _receipt(line: StatementLine) -> Receipt:
    return Receipt(
        rail_reference=line.reference,
        said=line.said,
        amount_paisa=line.amount_paisa,
        received_at=midnight(line.booked_on),
        payer_hint=masked_payer(line.payer) if line.payer else None,
        booked_on=line.booked_on,
        number=line.number,
    )


def _reversal(line: StatementLine, reverses: str) -> Reversal:
    return Reversal(
        rail_reference=line.reference,
        reverses=reverses,
        amount_paisa=-line.amount_paisa,
        received_at=midnight(line.booked_on),
        said=line.said,
        booked_on=line.booked_on,
        number=line.number,
    )


def _receive(
    session: Session, came: Mapping[int, Receipt], back: Sequence[Reversal], known: Groups
) -> dict[int, Found]:
    recognised = recognise_receipts(session, BANK, list(came.values()), known)
    seen = dict(zip(came, recognised, strict=True))
    fresh = {
        place: replace(came[place], rail_reference=it.name)
        for place, it in seen.items()
        if it.name is not None
    }
    keys = {key_of(it) for it in back}
    ends = {row.rail_reference for key in keys for row in known.get(key, ())}
    ends |= {it.rail_reference for place, it in fresh.items() if key_of(came[place]) in keys}
    again = [
        replace(came[place], rail_reference=it.payment.rail_reference)
        for place, it in seen.items()
        if it.payment is not None and not it.differs and _is_of_none(it.payment)
    ]
    answers = book_receipts(session, BANK, [*fresh.values(), *again], taken_back=ends)
    booked = {
        place: (LineOutcome.BOOKED, answer.payment.id)
        for place, answer in zip(fresh, answers[: len(fresh)], strict=True)
    }
    return booked | {place: _known(it) for place, it in seen.items() if place not in booked}


def _is_of_none(payment: Payment) -> bool:
    """Tell whether it lies unallocated, and what tells it again may name its order."""
    return payment.state == PaymentState.UNALLOCATED


def _known(it: Recognised) -> Found:
    assert it.payment is not None, "what has no new name is, or contradicts, a payment"
    return LineOutcome.DIFFERS if it.differs else LineOutcome.KNOWN, it.payment.id


def _take_back(session: Session, back: Mapping[int, Reversal]) -> dict[int, Found]:
    told = list(back.values())
    undone = recognise_reversals(session, BANK, told, payments_of(session, told))
    found: dict[int, Found] = {}
    for (place, reversal), it in zip(back.items(), undone, strict=True):
        if it.payment is None:
            # Of what only has a number, nobody knows the reference.
            knows = it.among and reversal.number is None
            found[place] = (LineOutcome.DIFFERS if knows else LineOutcome.UNKNOWN, None)
        elif it.again:
            found[place] = (LineOutcome.KNOWN, it.payment.id)
        else:
            reverse_payment(session, BANK, it.payment, reversal)
            found[place] = (LineOutcome.BOOKED, it.payment.id)
    return found


# -- what treasury sent ----------------------------------------------------------------------


def _left(session: Session, left: Numbered) -> dict[int, LineOutcome]:
    """Hold what left against what treasury recorded: each transfer is recorded once."""
    names = {name for _, line in left for name in (line.reference, line.number) if name}
    sent = sent_by(session, names) if names else {}
    days = _days_left(session, sent) if sent else {}
    groups: defaultdict[str, list[tuple[int, StatementLine]]] = defaultdict(list)
    for place, line in left:
        groups[line.number or line.reference].append((place, line))
    found: dict[int, LineOutcome] = {}
    for key, lines in groups.items():
        known = list(dict.fromkeys([key, *(line.reference for _, line in lines)]))
        facts = [
            Facts(sent[name], days=days.get(name, frozenset())) for name in known if name in sent
        ]
        told = [Facts(-line.amount_paisa, days=frozenset({line.booked_on})) for _, line in lines]
        for (place, line), index in zip(lines, match(told, facts), strict=True):
            if index is not None:
                found[place] = LineOutcome.KNOWN
            else:
                # What was recorded once and left twice is another transfer.
                differs = facts and line.number is None
                found[place] = LineOutcome.DIFFERS if differs else LineOutcome.UNKNOWN
    return found


def _days_left(session: Session, sent: Mapping[str, int]) -> dict[str, frozenset[date]]:
    """Return the days on which statements told that these left."""
    rows = session.exec(
        select(col(BankStatementLine.bank_reference), col(BankStatementLine.booked_on)).where(
            among(col(BankStatementLine.amount_paisa), {-paisa for paisa in sent.values()}),
            col(BankStatementLine.outcome) == LineOutcome.KNOWN,
            col(BankStatementLine.payment_id).is_(None),
        )
    )
    days: defaultdict[str, set[date]] = defaultdict(set)
    for reference, day in rows:
        for name in {reference} | numbers_in(reference):
            days[name].add(day)
    return {name: frozenset(days[name]) for name in sent if name in days}

"""Queries: what is known already of what a bank tells, by whatever name it was booked."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import count
from typing import TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, String, and_, any_, func, literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Session, col, or_, select

from registry.kernel.rows import among
from registry.offering.models import Order, Payment, PaymentReversal
from registry.offering.references import read_references
from registry.payment.matching import Facts, match
from registry.payment.models import BankStatementLine, LineOutcome
from registry.payment.rails import PaymentRail, Receipt, Reversal

_TURN = func.hashtext("payments told")
_ABOUT_DAYS = 7
"""How far a bank may book from when the money came: over holidays, and in a zone before ours."""
_DATED = re.compile(
    r"..\*\*\*.{0,4}/\d{4}-\d\d-\d\d/(?P<whole>(?P<number>.+?)(?:#\d+)?)", re.DOTALL
)

Told = TypeVar("Told", Receipt, Reversal)
Groups = Mapping[str, Sequence[Payment]]


def hold_notices(session: Session) -> None:
    """Have notices and files wait until this file is booked, and wait for those being booked."""
    session.execute(select(func.pg_advisory_xact_lock(_TURN)))


def hold_files(session: Session) -> None:
    """Have files of statements wait until this notice is booked; notices do not wait for another.

    What is told is held against what is known before any token or order is locked.
    """
    session.execute(select(func.pg_advisory_xact_lock_shared(_TURN)))


def midnight(day: date) -> datetime:
    """Give the moment at which what a statement tells is booked."""
    return datetime.combine(day, time(), tzinfo=UTC)


def numbered(reference: str, number: int) -> str:
    """Name what a bank gives a reference a second time: ``REF#2``."""
    return reference if number == 1 else f"{reference}#{number}"


def _unnumbered(name: str) -> str:
    return re.sub(r"#\d+$", "", name)


def key_of(told: Receipt | Reversal) -> str:
    """Name what may be one movement with it: all of a bank's reference, or of its number."""
    return told.number or (told.reverses if isinstance(told, Reversal) else told.rail_reference)


def grouped(told: Iterable[Told]) -> Mapping[str, list[Told]]:
    groups: defaultdict[str, list[Told]] = defaultdict(list)
    for it in told:
        groups[key_of(it)].append(it)
    return groups


# -- what may be meant -----------------------------------------------------------------------


def payments_of(session: Session, told: Sequence[Receipt | Reversal]) -> Groups:
    """Find the payments of references and numbers, in the order of `REF`, `REF#2` and so on."""
    known: defaultdict[str, list[Payment]] = defaultdict(list)
    number, wanted = 1, {key_of(it) for it in told}
    while wanted:
        names = {numbered(key, number): key for key in wanted}
        rows = session.exec(select(Payment).where(among(col(Payment.rail_reference), names))).all()
        for row in rows:
            known[names[row.rail_reference]].append(row)
        wanted = {names[row.rail_reference] for row in rows}
        number += 1
    accounts: defaultdict[str, set[str]] = defaultdict(set)
    for it in told:
        accounts[key_of(it)].add(_account_of(it))
    for row in _by_number(session, told):
        for key in accounts.keys() & numbers_in(row.rail_reference):
            if row.rail_reference.startswith(tuple(accounts[key])):
                known[key].append(row)
    return known


def _by_number(session: Session, told: Sequence[Receipt | Reversal]) -> Sequence[Payment]:
    """Find what a statement booked by account, day and number; the bank may name it by the last.

    What came is looked for about its day; what is taken back may be of any.
    """
    days = {day for it in told if isinstance(it, Receipt) for day in _days_about(it)}
    came = {_tail(key_of(it)) for it in told if isinstance(it, Receipt)}
    back = {_tail(key_of(it)) for it in told if isinstance(it, Reversal)}
    name = col(Payment.rail_reference)
    tail = func.regexp_replace(func.regexp_replace(name, "^.*/", ""), "#[0-9]+$", "")
    ways: list[ColumnElement[bool]] = []
    if came:
        moments = [midnight(day) for day in sorted(days)]
        on_days = among(col(Payment.received_at), moments)
        ways.append(and_(on_days, tail == any_(_texts(came))))
    if back:
        ways.append(tail == any_(_texts(back)))
    if not ways:
        return []
    query = select(Payment).where(name.like("%***%/%/%"), or_(*ways)).order_by(col(Payment.id))
    return session.exec(query).all()


def _texts(values: Collection[str]) -> ColumnElement[Sequence[str]]:
    return literal(sorted(values), ARRAY(String))


def _days_about(told: Receipt) -> Iterable[date]:
    if told.booked_on:
        return (told.booked_on,)
    day = told.received_at.astimezone(UTC).date().toordinal()
    first = max(day - _ABOUT_DAYS, date.min.toordinal())
    last = min(day + _ABOUT_DAYS, date.max.toordinal())
    return map(date.fromordinal, range(first, last + 1))


def _tail(number: str) -> str:
    return _unnumbered(number.rpartition("/")[2])


def _account_of(told: Receipt | Reversal) -> str:
    """Give how names of the account begin, of what has only a number; otherwise nothing."""
    if not told.number:
        return ""
    name = told.reverses if isinstance(told, Reversal) else told.rail_reference
    return name.removesuffix(f"{told.booked_on}/{told.number}")


def numbers_in(reference: str) -> set[str]:
    """Give what may be the number in a name of account, day and number.

    One that was made of the statement's own name instead of the day may have a / anywhere.
    """
    if found := _DATED.fullmatch(reference):
        return {found["number"], found["whole"]}
    parts = reference.split("/") if "***" in reference else []
    ends = {"/".join(parts[begin:]) for begin in range(2, len(parts))}
    return ends | {_unnumbered(end) for end in ends}


def _days_of(
    session: Session, payments: Collection[Payment], *, taken_back: bool
) -> Mapping[UUID, frozenset[date]]:
    """Return the days on which statements told of payments, or of their being taken back."""
    if not payments:
        return {}
    paisa = col(BankStatementLine.amount_paisa)
    rows = session.exec(
        select(col(BankStatementLine.payment_id), col(BankStatementLine.booked_on)).where(
            among(col(BankStatementLine.payment_id), [row.id for row in payments]),
            col(BankStatementLine.outcome).in_((LineOutcome.BOOKED, LineOutcome.KNOWN)),
            paisa < 0 if taken_back else paisa > 0,
        )
    )
    days: defaultdict[UUID, set[date]] = defaultdict(set)
    for payment_id, day in rows:
        if payment_id is not None:
            days[payment_id].add(day)
    return {payment_id: frozenset(found) for payment_id, found in days.items()}


def _orders_in(said: str | None) -> frozenset[str]:
    return frozenset(read_references(said or ""))


def _orders_used(session: Session, payments: Sequence[Payment]) -> Mapping[UUID, str]:
    """Return the references of the orders for which payments were used."""
    ids = {row.order_id for row in payments if row.order_id is not None}
    rows = session.exec(select(Order.id, Order.reference).where(among(col(Order.id), ids)))
    names = {order_id: reference for order_id, reference in rows}  # noqa: C416 - rows are no pairs
    return {row.id: names[row.order_id] for row in payments if row.order_id is not None}


def _known_of(
    row: Payment,
    used_for: Mapping[UUID, str],
    days: Mapping[UUID, frozenset[date]],
    own: frozenset[str] = frozenset(),
) -> Facts:
    orders = _orders_in(row.order_reference)
    used = frozenset({used_for[row.id]} if row.id in used_for else ())
    return Facts(row.amount_paisa, orders, days.get(row.id, frozenset()), own, used - orders)


def _facts_of(told: Receipt | Reversal) -> Facts:
    own = frozenset[str]()
    if isinstance(told, Reversal) and told.rail_reference != told.reverses:
        own = frozenset({told.rail_reference})
    days = frozenset({told.booked_on}) if told.booked_on else frozenset[date]()
    return Facts(told.amount_paisa, _orders_in(told.said), days, own)


# -- what comes ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a line of a statement that says money came is.

    Parameters
    ----------
    payment
        That which it tells again; or which it contradicts.
    name
        Of a new one; None where nothing is to be booked.
    """

    payment: Payment | None
    name: str | None = None
    differs: bool = False


def recognise_receipts(
    session: Session, rail: PaymentRail, told: Sequence[Receipt], known: Groups
) -> list[Recognised]:
    """Hold a statement's receipts against what is known; what is left over is new.

    A line is not new while a payment of its reference is none of the lines: that which a notice
    told with other facts, or another statement for one of this one's days. The two contradict
    each other, and somebody has to ask the bank. What has only a number contradicts nothing.
    """
    every = [row for rows in known.values() for row in rows]
    days = _days_of(session, every, taken_back=False)
    used_for = _orders_used(session, every)
    covered = [it.booked_on for it in told if it.booked_on]
    first, last = min(covered, default=date.min), max(covered, default=date.min)
    names = _Names(row.rail_reference for row in every)
    found: dict[int, Recognised] = {}
    taken: set[UUID] = set()
    for key, lines in grouped(told).items():
        rows = [row for row in known.get(key, ()) if row.id not in taken]
        ours = [row for row in rows if row.rail == rail.name]
        facts = [_known_of(row, used_for, days) for row in ours]
        matched = match([_facts_of(line) for line in lines], facts)
        used = {ours[index].id for index in matched if index is not None}
        taken |= used
        against = [
            row
            for row in rows
            if row.id not in used
            and not numbers_in(row.rail_reference)
            and (row.id not in days or any(first <= day <= last for day in days[row.id]))
        ]
        for line, index in zip(lines, matched, strict=True):
            if index is not None:
                found[id(line)] = Recognised(ours[index])
            elif against and line.number is None:
                found[id(line)] = Recognised(against[0], differs=True)
            else:
                found[id(line)] = Recognised(None, names.new(line.rail_reference))
    return [found[id(line)] for line in told]


class _Names:
    """Names for what is new: of a reference that was used, the first number that is free."""

    def __init__(self, used: Iterable[str]) -> None:
        self._used = set(used)
        self._next: dict[str, count[int]] = {}

    def new(self, reference: str) -> str:
        numbers = self._next.setdefault(reference, count(1))
        name = next(n for each in numbers if (n := numbered(reference, each)) not in self._used)
        self._used.add(name)
        return name


def recognise_notice(session: Session, rail: PaymentRail, told: Receipt) -> Recognised:
    """Hold a notice against what is known: nothing is new of a reference that was used."""
    rows = payments_of(session, [told]).get(told.rail_reference, ())
    ours = [row for row in rows if row.rail == rail.name]
    used_for = _orders_used(session, ours)
    facts = [_known_of(row, used_for, {}) for row in ours]
    [index] = match([_facts_of(told)], facts)
    if index is not None:
        return Recognised(ours[index])
    used = [row for row in rows if not numbers_in(row.rail_reference)]
    return Recognised(used[0] if used else None, differs=bool(used))


# -- what is taken back ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Undone:
    """What a reversal is: of a payment that is to be reversed, one told again, or neither.

    Parameters
    ----------
    among
        Payments that it may have meant.
    """

    payment: Payment | None
    again: bool = False
    among: Sequence[Payment] = ()


def recognise_reversals(
    session: Session, rail: PaymentRail, told: Sequence[Reversal], known: Groups
) -> list[Undone]:
    """Hold reversals against those that are known, and what is left over against the payments.

    One is the same where its own reference is, and the day on which statements told of it.
    """
    rows = [row for rows in known.values() for row in rows if row.rail == rail.name]
    days = _days_of(session, rows, taken_back=True)
    used_for = _orders_used(session, rows)
    reversals = {
        row.payment_id: row
        for row in session.exec(
            select(PaymentReversal).where(
                among(col(PaymentReversal.payment_id), [row.id for row in rows])
            )
        )
    }
    found: dict[int, Undone] = {}
    taken: set[UUID] = set()
    for key, lines in grouped(told).items():
        ours = [row for row in known.get(key, ()) if row.rail == rail.name]
        undone = [row for row in ours if row.id in reversals and row.id not in taken]
        facts = [
            _known_of(row, used_for, days, _own(reversals[row.id], row, key)) for row in undone
        ]
        again = match([_facts_of(line) for line in lines], facts)
        left = [line for line, index in zip(lines, again, strict=True) if index is None]
        free = [row for row in ours if row.id not in reversals and row.id not in taken]
        fresh = iter(_of_payments(left, free, used_for))
        for line, index in zip(lines, again, strict=True):
            row = undone[index] if index is not None else next(fresh)
            found[id(line)] = Undone(row, index is not None, ours)
            taken |= {row.id} if row is not None else set()
    return [found[id(line)] for line in told]


def _own(reversal: PaymentReversal, payment: Payment, key: str) -> frozenset[str]:
    """Give its own reference, unless that is only the payment's."""
    name = reversal.rail_reference
    payments = name in {key, payment.rail_reference} or key in numbers_in(name)
    return frozenset() if payments else frozenset({name})


def _of_payments(
    told: Sequence[Reversal], payments: Sequence[Payment], used_for: Mapping[UUID, str]
) -> list[Payment | None]:
    """Say which payments are reversed; where it may be another's money, nobody can.

    What names another order than the one that has the money takes nothing from it.
    """
    known = [_known_of(row, used_for, {}) for row in payments]
    facts = [Facts(it.amount_paisa, it.orders | it.used_for) for it in known]
    wanted = [Facts(line.amount_paisa, _orders_in(line.said)) for line in told]
    rows = list(zip(payments, facts, strict=True))
    return [
        None
        if index is None or _may_be_another(line, want, payments[index], rows)
        else payments[index]
        for line, want, index in zip(told, wanted, match(wanted, facts), strict=True)
    ]


def _may_be_another(
    line: Reversal, want: Facts, found: Payment, payments: Sequence[tuple[Payment, Facts]]
) -> bool:
    """Tell whether what is taken back is of a number, or a reference, that several have.

    Only those count that the line names best. Of one order, which of its payments it is makes no
    difference, but where only a number is told.
    """
    near = [(shared, row) for row, it in payments if (shared := want.nearness(it)) is not None]
    if len(near) == 1:
        return False
    nearest = max(shared for shared, _ in near)
    meant = [row for shared, row in near if shared == nearest]
    key = key_of(line)
    if line.number or any(key in numbers_in(row.rail_reference) for row in (*meant, found)):
        return [row.id for row in meant] != [found.id]
    return len({row.order_id for row in meant}) > 1

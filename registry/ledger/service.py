"""Use cases of the ledger: post, and ask for balances. It books what others have decided."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, tuple_
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from registry.kernel.clock import now
from registry.kernel.ids import new_id
from registry.kernel.reading import Composed
from registry.kernel.rows import among_named, insert_many
from registry.ledger.models import PLACES, Account, EntryKind, LedgerEntry, LedgerPosting


@dataclass(frozen=True, slots=True)
class Posting:
    """One side of an entry that is to be booked.

    Parameters
    ----------
    amount_paisa : int
        A debit above 0, a credit below.
    """

    account: Account
    subject_id: UUID | None
    amount_paisa: int


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry that is to be booked; postings of 0 are left out.

    Parameters
    ----------
    key
        Names the effect.
    subject
        Kind and id of what it is about.
    """

    kind: EntryKind
    key: str
    subject: tuple[str, UUID]
    postings: tuple[Posting, ...]


def move(
    paisa: int, *, debit: tuple[Account, UUID | None], credit: tuple[Account, UUID | None]
) -> tuple[Posting, ...]:
    """Give both sides of one movement; of 0, none.

    Parameters
    ----------
    debit, credit
        Account and subject.
    """
    assert paisa >= 0, "a movement the other way has its sides the other way"
    return (Posting(*debit, paisa), Posting(*credit, -paisa)) if paisa else ()


def post(session: Session, entries: Iterable[NewEntry]) -> None:
    """Book entries, all in two statements however many; those without a posting are none."""
    booked = [entry for entry in entries if entry.postings]
    if not booked:
        return
    heads, sides = [], []
    for entry in booked:
        assert sum(side.amount_paisa for side in entry.postings) == 0, entry
        head = {
            "id": new_id(),
            "recorded_at": now(),
            "kind": entry.kind,
            "key": entry.key,
            "subject_kind": entry.subject[0],
            "subject_id": entry.subject[1],
        }
        heads.append(head)
        sides += [
            {
                "id": new_id(),
                "recorded_at": head["recorded_at"],
                "entry_id": head["id"],
                "account": side.account,
                "subject_id": side.subject_id,
                "amount_paisa": side.amount_paisa,
            }
            for side in entry.postings
        ]
    session.execute(insert_many(LedgerEntry, heads))
    session.execute(insert_many(LedgerPosting, sides))


def balance_of(session: Session, account: Account, subject_id: UUID | None = None) -> int:
    """Return what an account holds, in paisa: debits less credits.

    Parameters
    ----------
    subject_id
        Whose; without it, of everybody.
    """
    query = select(func.coalesce(func.sum(LedgerPosting.amount_paisa), 0)).where(
        col(LedgerPosting.account) == account
    )
    if subject_id is not None:
        query = query.where(col(LedgerPosting.subject_id) == subject_id)
    return int(session.exec(query).one())


Moved = Mapping[tuple[EntryKind, Account], int]
"""What entries have moved: debits less credits in paisa, by the kind of the entry and account."""


def moved_about(session: Session, subject_ids: Iterable[UUID]) -> Mapping[UUID, Moved]:
    """Return what the entries about each subject have moved, in one statement however many."""
    found: dict[UUID, dict[tuple[EntryKind, Account], int]] = defaultdict(dict)
    for subject_id, kind, account, paisa in _MOVED.all(session, subject_ids=list(subject_ids)):
        found[subject_id][EntryKind(kind), Account(account)] = int(paisa)
    return found


_MOVED = Composed(
    sql_select(
        col(LedgerEntry.subject_id),
        col(LedgerEntry.kind),
        col(LedgerPosting.account),
        func.sum(LedgerPosting.amount_paisa),
    )
    .join(LedgerPosting, col(LedgerPosting.entry_id) == col(LedgerEntry.id))
    .where(among_named(col(LedgerEntry.subject_id), "subject_ids"))
    .group_by(col(LedgerEntry.subject_id), col(LedgerEntry.kind), col(LedgerPosting.account))
)


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """All accounts at one moment; debits and credits are the same.

    Parameters
    ----------
    balances
        Debits less credits of each account, in paisa.
    """

    as_of: datetime
    balances: Mapping[Account, int]

    @property
    def debits(self) -> int:
        return sum(paisa for paisa in self.balances.values() if paisa > 0)

    @property
    def credits(self) -> int:
        return -sum(paisa for paisa in self.balances.values() if paisa < 0)


def trial_balance(session: Session, *, as_of: datetime | None = None) -> TrialBalance:
    """Sum up every account, of what was recorded until a moment."""
    moment = as_of or now()
    rows = session.exec(
        select(LedgerPosting.account, func.sum(LedgerPosting.amount_paisa))
        .where(col(LedgerPosting.recorded_at) <= moment)
        .group_by(col(LedgerPosting.account))
    )
    sums = {account: int(paisa) for account, paisa in rows}
    return TrialBalance(moment, {account: sums.get(account, 0) for account in Account})


@dataclass(frozen=True, slots=True)
class Booked:
    """An entry with its postings."""

    entry: LedgerEntry
    postings: Sequence[LedgerPosting]


def statement_about(session: Session, subject_id: UUID) -> list[Booked]:
    """List every entry about a subject, oldest first."""
    rows = session.exec(
        select(LedgerEntry, LedgerPosting)
        .join(LedgerPosting, col(LedgerPosting.entry_id) == col(LedgerEntry.id))
        .where(col(LedgerEntry.subject_id) == subject_id)
        .order_by(col(LedgerEntry.recorded_at), col(LedgerEntry.id), col(LedgerPosting.id))
    ).all()
    found: dict[UUID, tuple[LedgerEntry, list[LedgerPosting]]] = {}
    for entry, posting in rows:
        found.setdefault(entry.id, (entry, []))[1].append(posting)
    return [Booked(entry, postings) for entry, postings in found.values()]


def owed_by_subject(
    session: Session, account: Account, *, after: UUID | None, limit: int
) -> list[tuple[UUID, int]]:
    """List whose balance of an account is not 0, by id.

    Returns
    -------
    list
        The subject, and debits less credits in paisa.
    """
    assert account not in PLACES
    query = select(LedgerPosting.subject_id, func.sum(LedgerPosting.amount_paisa)).where(
        col(LedgerPosting.account) == account
    )
    if after is not None:
        query = query.where(col(LedgerPosting.subject_id) > after)
    rows = session.exec(
        query.group_by(col(LedgerPosting.subject_id))
        .having(func.sum(LedgerPosting.amount_paisa) != 0)
        .order_by(col(LedgerPosting.subject_id))
        .limit(limit)
    )
    return [(subject_id, int(paisa)) for subject_id, paisa in rows if subject_id is not None]


@dataclass(frozen=True, slots=True)
class Outstanding:
    """What stands on an account of one subject, in paisa, and since when it never was at 0."""

    subject_id: UUID
    amount_paisa: int
    since: datetime


def outstanding(
    session: Session, account: Account, *, after: tuple[datetime, UUID] | None, limit: int
) -> list[Outstanding]:
    """List whose balance of an account is not 0, who has waited longest first; in one statement.

    Parameters
    ----------
    after
        Since when, and whose: the last of the page before.

    Returns
    -------
    list
        With debits less credits in paisa.
    """
    assert account not in PLACES
    whose, moment = col(LedgerPosting.subject_id), col(LedgerPosting.recorded_at)
    total = func.sum(col(LedgerPosting.amount_paisa))
    due = (
        sql_select(whose.label("subject_id"), total.label("paisa"))
        .where(col(LedgerPosting.account) == account)
        .group_by(whose)
        .having(total != 0)
        .subquery()
    )
    in_order: Any = {"partition_by": whose, "order_by": [moment, col(LedgerPosting.id)]}
    lines = (
        sql_select(
            *due.c,
            moment.label("moment"),
            func.row_number().over(**in_order).label("place"),
            total.over(**in_order).label("running"),
        )
        .join(due, due.c.subject_id == whose)
        .where(col(LedgerPosting.account) == account)
        .subquery()
    )
    cleared = func.max(case((lines.c.running == 0, lines.c.place), else_=0))
    marked = sql_select(
        lines, cleared.over(partition_by=lines.c.subject_id).label("cleared")
    ).subquery()
    since = func.min(marked.c.moment)
    query = (
        sql_select(marked.c.subject_id, marked.c.paisa, since)
        .where(marked.c.place > marked.c.cleared)
        .group_by(marked.c.subject_id, marked.c.paisa)
        .order_by(since, marked.c.subject_id)
        .limit(limit)
    )
    if after is not None:
        query = query.having(tuple_(since, marked.c.subject_id) > after)
    return [Outstanding(row[0], int(row[1]), row[2]) for row in session.execute(query)]

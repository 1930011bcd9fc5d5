"""However a bank cuts the movements of an account into files, each of them is booked once."""

from __future__ import annotations

import contextlib
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlmodel import Session, select

from registry.document.store import FolderStore
from registry.kernel.actor import Role
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, NotFound
from registry.kernel.vault import Vault
from registry.ledger import service as ledger
from registry.ledger.models import Account
from registry.offering.models import Order, Payment, PaymentState
from registry.payment import statements
from registry.payment.models import LineOutcome
from registry.payment.rails import BANK, Receipt, Reversal
from registry.payment.receiving import book_receipt
from registry.payment.reversing import reverse_receipt
from tests import factories as make
from tests import sales
from tests.factories import ACTORS, Desk
from tests.statements import camt, camt_entry, csv_file

pytestmark = pytest.mark.db

TREASURY = ACTORS[Role.TREASURY]
FIRST, LENGTH = date(2026, 7, 6), 5


@dataclass(frozen=True)
class Movement:
    """What moved the account on one of five days; `back` names the movement that it takes back."""

    number: int
    day: int
    paisa: int
    order: int | None
    reference: str
    back: int | None = None

    @property
    def dated(self) -> str:
        return str(FIRST + timedelta(days=self.day))


@dataclass(frozen=True)
class Book:
    """A bank that names its movements in one of four ways, and what it moved."""

    form: str
    movements: Sequence[Movement]

    @property
    def is_noticed(self) -> bool:
        return self.form != "positions"


@st.composite
def books(draw: st.DrawFn) -> Book:
    form = draw(st.sampled_from(["csv", "camt", "numbers", "positions"]))
    repeated = form in ("csv", "camt") and draw(st.booleans())
    moved: list[Movement] = []
    on_day = Counter[int]()
    days = sorted(draw(st.lists(st.integers(0, LENGTH - 1), min_size=1, max_size=7)))
    for number, day in enumerate(days):
        on_day[day] += 1
        undone = {it.back for it in moved}
        came = [it for it in moved if it.back is None and it.number not in undone]
        if came and form != "positions" and draw(st.integers(0, 3)) == 0:
            whole = draw(st.sampled_from(came))
            moved.append(Movement(number, day, -whole.paisa, None, whole.reference, whole.number))
            continue
        reference = f"FT{number}"
        if form == "positions":
            reference = str(on_day[day])
        elif repeated:
            reference = draw(st.sampled_from(["RENT", "FLAT"]))
        paisa, order = draw(st.sampled_from([50, 70])), draw(st.sampled_from([None, 0, 1]))
        moved.append(Movement(number, day, paisa, order, reference))
    return Book(form, [it for it in moved if it.back is None or _is_clear(it, moved)])


def _is_clear(it: Movement, moved: Sequence[Movement]) -> bool:
    """Tell whether it can be known whose money goes: the bank names no order with it."""
    named = {one.order for one in moved if (one.reference, one.paisa) == (it.reference, -it.paisa)}
    return len(named) == 1


class Branch:
    """The bank's side: writes files and notices of a book for our side to read."""

    def __init__(self, session: Session, book: Book, orders: Sequence[Order]) -> None:
        self.session, self.book, self.orders = session, book, orders

    def file(self, first: int, last: int, shuffle: int) -> list[LineOutcome]:
        """Export some whole days; `shuffle` is the order in which they are written."""
        lines = [it for it in self.book.movements if first <= it.day <= last]
        if not lines:
            return []
        random.Random(shuffle).shuffle(lines)
        opening = sum(it.paisa for it in self.book.movements if it.day < first)
        content = (
            self._csv(opening, lines) if self.book.form == "csv" else self._camt(opening, lines)
        )
        row, is_new = statements.import_statement(self.session, TREASURY, content)
        read = statements.list_lines(self.session, row.id, outcome=None, after=0, limit=99)
        return [line.outcome for line in read] if is_new else []

    def _csv(self, opening: int, lines: Sequence[Movement]) -> bytes:
        rows = [
            (it.reference, it.paisa, self._said(it) or "", "", "")
            if it.back is None
            else (f"V{it.number}", it.paisa, "", "", it.reference)
            for it in lines
        ]
        return csv_file(opening, *rows, days=[it.dated for it in lines])

    def _camt(self, opening: int, lines: Sequence[Movement]) -> bytes:
        name = "AcctSvcrRef" if self.book.form == "camt" else "NtryRef"
        entries = [
            camt_entry(
                it.reference, it.paisa, said=self._said(it), reversal=it.back is not None,
                day=it.dated, name=name,
            )
            for it in lines
        ]  # fmt: skip
        closing = opening + sum(it.paisa for it in lines)
        return camt(opening, *entries, closing=closing, day=max(it.dated for it in lines))

    def _said(self, it: Movement) -> str | None:
        return None if it.order is None else self.orders[it.order].reference

    def notice(self, number: int) -> None:
        """Tell of one movement; where a reference was used for another, we may refuse it."""
        it = self.book.movements[number % len(self.book.movements)]
        at = now().replace(year=2026, month=7, day=6 + it.day)
        with contextlib.suppress(Conflict, NotFound), self.session.begin_nested():
            if it.back is None:
                book_receipt(
                    self.session, BANK, Receipt(it.reference, self._said(it), it.paisa, at)
                )
            else:
                told = Reversal(f"V{it.number}", it.reference, -it.paisa, at)
                reverse_receipt(self.session, BANK, told)

    @property
    def moved(self) -> Counter[tuple[int, bool]]:
        """What stands in the bank's books: amounts, and whether they were taken back."""
        undone = {it.back for it in self.book.movements}
        came = [it for it in self.book.movements if it.back is None]
        return Counter((it.paisa, it.number in undone) for it in came)

    @property
    def booked(self) -> Counter[tuple[int, bool]]:
        rows = self.session.exec(select(Payment)).all()
        return Counter((row.amount_paisa, row.state == PaymentState.REVERSED) for row in rows)

    def check_nothing_twice(self) -> None:
        """Hold how often each amount came, and was taken back, against how often it moved."""
        for kind in (frozenset({False, True}), frozenset({True})):
            assert _by_amount(self.booked, kind) <= _by_amount(self.moved, kind)

    def check_all_once(self) -> None:
        assert self.booked == self.moved
        balance = sum(it.paisa for it in self.book.movements)
        assert ledger.balance_of(self.session, Account.BANK) == balance


def _by_amount(counted: Counter[tuple[int, bool]], undone: frozenset[bool]) -> Counter[int]:
    total = Counter[int]()
    for (paisa, is_undone), number in counted.items():
        total[paisa] += number * (is_undone in undone)
    return total


@dataclass(frozen=True)
class Market:
    database: Database
    orders: Sequence[UUID]

    @contextlib.contextmanager
    def branch(self, book: Book) -> Iterator[Branch]:
        """Give a session whose work is taken back at the end."""
        connection = self.database.engine.connect()
        outer = connection.begin()
        session = Session(connection, join_transaction_mode="create_savepoint")
        try:
            yield Branch(session, book, [session.get_one(Order, each) for each in self.orders])
        finally:
            session.close()
            outer.rollback()
            connection.close()


@pytest.fixture
def market(fresh_database: Database, vault: Vault, tmp_path: Path) -> Market:
    with fresh_database.transaction() as session:
        desk = Desk(session, vault, FolderStore(tmp_path))
        sale = sales.offering(desk, sales.wrapped_apartment(desk))
        placed = [sales.order(desk, sale, make.buyer(desk)).id for _ in range(2)]
        return Market(fresh_database, placed)


spans = st.tuples(st.integers(0, LENGTH - 1), st.integers(0, LENGTH - 1)).map(sorted)


def test_files__that_follow_each_other__book_all_once_without_another_word(market: Market) -> None:
    @settings(max_examples=60, deadline=None)
    @given(book=books(), cuts=st.sets(st.integers(1, LENGTH - 1)), shuffle=st.integers(0, 9))
    def check(book: Book, cuts: set[int], shuffle: int) -> None:
        with market.branch(book) as branch:
            ends = [*sorted(cuts), LENGTH]
            for first, end in zip([0, *ends], ends, strict=False):
                branch.file(first, end - 1, shuffle)
            branch.check_all_once()
            again = branch.file(0, LENGTH - 1, shuffle + 1)
            assert set(again) <= {LineOutcome.KNOWN}
            branch.check_all_once()

    check()


def test_files__overlapping_out_of_order_and_with_notices__book_nothing_twice_and_all_at_last(
    market: Market,
) -> None:
    step = st.tuples(spans, st.integers(0, 9)) | st.integers(0, 6)

    @settings(max_examples=100, deadline=None)
    @given(book=books(), steps=st.lists(step, max_size=8))
    def check(book: Book, steps: list[tuple[list[int], int] | int]) -> None:
        with market.branch(book) as branch:
            for each in steps:
                if isinstance(each, int):
                    if book.is_noticed:
                        branch.notice(each)
                else:
                    (first, last), shuffle = each
                    branch.file(first, last, shuffle)
                branch.check_nothing_twice()
            branch.file(0, LENGTH - 1, 10)
            branch.check_all_once()
            again = branch.file(0, LENGTH - 1, 11)
            assert set(again) <= {LineOutcome.KNOWN}

    check()

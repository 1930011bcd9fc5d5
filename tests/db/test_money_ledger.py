"""The ledger itself: what the database refuses, and what was carried over into it."""

from __future__ import annotations

from importlib import import_module
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.rows import insert_many
from registry.ledger import service as ledger
from registry.ledger.models import Account, EntryKind, LedgerEntry, LedgerPosting
from registry.ledger.service import NewEntry, Posting, move
from registry.offering.audit import faults
from registry.offering.models import Order, OrderState
from registry.offering.money import Standing, fault_of, standings_of
from tests import factories as make
from tests import sales
from tests.factories import Desk

pytestmark = pytest.mark.db

BEFORE = import_module("registry.migrations.versions.0035_money_in_double_entry").down_revision


def book(session: Session, paisa: int = 500) -> LedgerEntry:
    subject = uuid4()
    sides = move(paisa, debit=(Account.BANK, None), credit=(Account.ORDER, subject))
    entry = NewEntry(EntryKind.RECEIPT, f"receipt:{subject}", ("order", subject), sides)
    ledger.post(session, [entry])
    return session.exec(select(LedgerEntry).where(LedgerEntry.key == entry.key)).one()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger_posting SET amount_paisa = amount_paisa * 2",
        "UPDATE ledger_entry SET key = 'other'",
        "DELETE FROM ledger_posting",
        "DELETE FROM ledger_entry",
        "TRUNCATE ledger_posting",
    ],
)
def test_booked__changed__is_refused(session: Session, change: str) -> None:
    book(session)

    with pytest.raises(IntegrityError, match="append-only"):
        session.execute(text(change))


@pytest.mark.parametrize(
    ("account", "owned", "paisa", "rule"),
    [
        (Account.BANK, False, 1, "LED-01"),
        (Account.BANK, False, 0, "ck_ledger_posting_amount"),
        (Account.BANK, True, 1, "ck_ledger_posting_subject"),
        (Account.ORDER, False, 1, "ck_ledger_posting_subject"),
    ],
)
def test_posting__unbalanced_or_of_nobody__is_refused(
    session: Session, account: Account, owned: bool, paisa: int, rule: str
) -> None:
    entry = book(session)
    row = {
        "id": uuid4(),
        "recorded_at": entry.recorded_at,
        "entry_id": entry.id,
        "account": account,
        "subject_id": uuid4() if owned else None,
        "amount_paisa": paisa,
    }

    with pytest.raises(IntegrityError, match=rule):
        session.execute(insert_many(LedgerPosting, [row]))


def test_post__same_effect_twice__is_refused(session: Session) -> None:
    entry = book(session)
    sides = move(1, debit=(Account.BANK, None), credit=(Account.ORDER, entry.subject_id))

    with pytest.raises(IntegrityError, match="ledger_entry_key_key"):
        ledger.post(
            session, [NewEntry(EntryKind.RECEIPT, entry.key, ("order", entry.subject_id), sides)]
        )


def test_post__of_nothing__books_nothing(session: Session) -> None:
    subject = uuid4()
    nothing = move(0, debit=(Account.BANK, None), credit=(Account.ORDER, subject))

    ledger.post(session, [NewEntry(EntryKind.RECEIPT, "nothing", ("order", subject), nothing)])

    assert ledger.statement_about(session, subject) == []


def test_post__unbalanced__is_a_bug(session: Session) -> None:
    entry = NewEntry(EntryKind.RECEIPT, "x", ("order", uuid4()), (Posting(Account.BANK, None, 1),))
    with pytest.raises(AssertionError):
        ledger.post(session, [entry])


def test_trial_balance__entries__has_equal_sides(session: Session) -> None:
    book(session, 500)
    book(session, 70)

    found = ledger.trial_balance(session)

    assert found.balances[Account.BANK] == found.debits == found.credits == 570
    assert found.balances[Account.REFUND_DUE] == 0


# Carried over


def before_the_ledger(database: Database, desk: Desk) -> dict[OrderState, Order]:
    """Leave orders as an older version had them: paid whole or not at all, and refunded whole."""
    sale = sales.offering(desk, sales.wrapped_apartment(desk))
    buyer = make.buyer(desk)
    states = (
        OrderState.AWAITING_PAYMENT,
        OrderState.PAID,
        OrderState.MINTING,
        OrderState.SETTLED,
        OrderState.CANCELLED,
        OrderState.REFUND_DUE,
        OrderState.REFUNDED,
    )
    found = {state: sales.order(desk, sale, buyer) for state in states}
    desk.session.commit()
    migrate.downgrade(database, BEFORE)
    with database.engine.begin() as connection:
        for state, order in found.items():
            values = {"id": order.id, "state": state, "paisa": order.amount_paisa}
            connection.execute(
                text("UPDATE purchase_order SET state = :state WHERE id = :id"), values
            )
            if state not in (OrderState.AWAITING_PAYMENT, OrderState.CANCELLED):
                connection.execute(text(_PAYMENT), values)
        connection.execute(text(_ONCHAIN), {"id": found[OrderState.SETTLED].id})
        connection.execute(text(_REFUND), {"id": found[OrderState.REFUNDED].id})
    return found


_PAYMENT = """
INSERT INTO payment (id, recorded_at, rail, rail_reference, order_id, amount_paisa, received_at)
VALUES (gen_random_uuid(), now(), 'bank_transfer', 'TX-' || :state, :id, :paisa, now())
"""
_ONCHAIN = "UPDATE payment SET rail = 'onchain_rupee' WHERE order_id = :id"
_REFUND = """
INSERT INTO refund (id, recorded_at, payment_id, rail, rail_reference, amount_paisa, recorded_by)
SELECT gen_random_uuid(), now(), id, rail, 'BACK', amount_paisa, 'treasury'
FROM payment WHERE order_id = :id
"""


def test_upgrade__older_payments__stand_in_the_ledger_as_their_orders_say(
    fresh_database: Database, vault: object, store: object
) -> None:
    with Session(fresh_database.engine, expire_on_commit=False) as session:
        found = before_the_ledger(fresh_database, Desk(session, vault, store))  # type: ignore[arg-type]

    migrate.upgrade(fresh_database)

    with fresh_database.reading() as reader:
        orders = {state: reader.get_one(Order, order.id) for state, order in found.items()}
        standings = standings_of(reader, [order.id for order in orders.values()])
        price = found[OrderState.PAID].amount_paisa
        for state, order in orders.items():
            assert fault_of(order, standings[order.id]) is None, state
        assert standings[orders[OrderState.REFUNDED].id] == Standing(refunded=price)
        books = ledger.trial_balance(reader).balances
        assert books[Account.BANK] == 3 * price
        assert books[Account.RUPEE_ON_CHAIN] == books[Account.SALE_PROCEEDS] == 0
    migrate.downgrade(fresh_database, BEFORE)
    migrate.upgrade(fresh_database)
    with fresh_database.reading() as reader:
        assert ledger.trial_balance(reader).balances == books


def test_downgrade__payments_that_an_older_version_cannot_show__is_refused(
    fresh_database: Database, vault: object, store: object
) -> None:
    with Session(fresh_database.engine, expire_on_commit=False) as session:
        desk = Desk(session, vault, store)  # type: ignore[arg-type]
        sale = sales.offering(desk, sales.wrapped_apartment(desk))
        sales.pay(desk, sales.order(desk, sale, make.buyer(desk)), 5)
        session.commit()

    with pytest.raises(Exception, match="cannot show"):
        migrate.downgrade(fresh_database, BEFORE)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "UPDATE purchase_order SET state = 'SETTLED' WHERE id = :order",
            "Row {order} of purchase_order and its money differ: ",
        ),
        (
            "UPDATE purchase_order SET amount_paisa = 1 WHERE id = :order",
            "Row {order} of purchase_order and its money differ: ",
        ),
        (
            "UPDATE ledger_posting SET amount_paisa = amount_paisa - 1 WHERE id = :posting",
            "Row {entry} of ledger_entry: it has no postings, or they sum to -1 paisa",
        ),
        (
            "DELETE FROM ledger_posting WHERE entry_id = :entry",
            "Row {entry} of ledger_entry: it has no postings",
        ),
        (
            "UPDATE offering SET reserved_units = reserved_units - 1 WHERE id = :sale",
            "Row {sale} of offering: it counts {less} reserved fractions, and its orders hold",
        ),
        (
            "UPDATE purchase_order SET state = 'CANCELLED' WHERE offering_id = :sale",
            "Row {sale} of offering: it counts {all} reserved fractions, and its orders hold 0",
        ),
    ],
)
def test_audit__money_changed_by_hand__is_named(desk: Desk, change: str, told: str) -> None:
    sale = sales.offering(desk, sales.wrapped_apartment(desk))
    sales.pay(desk, sales.order(desk, sale, make.buyer(desk)))
    order = sales.pay(desk, sales.order(desk, sale, make.buyer(desk)))
    [booked] = ledger.statement_about(desk.session, order.id)
    [bank] = [side for side in booked.postings if side.account == Account.BANK]
    assert list(faults(desk.session)) == []
    counted = {"all": sale.reserved_units, "less": sale.reserved_units - 1}
    named = told.format(order=order.id, entry=booked.entry.id, sale=sale.id, **counted)

    connection = desk.session.connection()
    connection.execute(text("SET LOCAL session_replication_role = replica"))
    ids = {"order": order.id, "entry": booked.entry.id, "posting": bank.id, "sale": sale.id}
    assert connection.execute(text(change), ids).rowcount > 0
    desk.session.expire_all()

    found = list(faults(desk.session))
    assert [fault for fault in found if fault.startswith(named)]
    assert len(found) <= 3

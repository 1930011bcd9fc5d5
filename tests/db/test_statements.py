"""Statements: closing is opening and the movements, of fractions and of money, to the paisa."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlmodel import select

from registry.captable.models import BalanceAt, SyncCursor
from registry.investor.models import Investor, Wallet
from registry.kernel.actor import Role
from registry.kernel.clock import SEAT, day_of, now, today
from registry.kernel.errors import Invalid, Unavailable
from registry.kernel.messages import Language
from registry.ledger.models import EntryKind
from registry.offering import leaving, minting
from registry.offering.models import Offering, Order, OrderState
from registry.offering.unwinding import record_refund
from registry.portfolio.money import PaidOut, read_money
from registry.portfolio.period import Period, month_of, months_since, read_period
from registry.portfolio.statement import Statement, make_statement
from registry.portfolio.statement_csv import statement_csv
from registry.portfolio.statement_pdf import statement_pdf
from registry.redemption.repository import list_payouts
from tests import factories as make
from tests import ledger, redemptions, sales
from tests.factories import Buyer, Desk
from tests.ledger import Ledger
from tests.redemptions import TREASURY

pytestmark = pytest.mark.db
ON_SHELF = ()

TODAY = today()


def days(first: int, last: int) -> Period:
    """Give a period by how many days ago it begins and ends."""
    return Period(TODAY - timedelta(days=first), TODAY - timedelta(days=last))


def made(desk: Desk, who: Buyer, period: Period, chain_id: int = 1) -> Statement:
    return make_statement(desk.session, who.investor, period, chain_id)


def moving(desk: Desk) -> Ledger:
    """Give a chain on which the first holder has 10, and a day later gives 4 and has 3 frozen."""
    chain = ledger.live(desk, 10, 20, days_ago=5)
    me, other = (holder.wallet.address for holder in chain.holders)
    chain.started += timedelta(days=2)
    chain.move(me, other, 4)
    chain.freeze_units(me, 3)
    chain.move(me, me, 1)
    return chain


def read_to_now(chain: Ledger) -> None:
    """Mine a block of this moment, and let it and all before it be final."""
    chain.started = now() - timedelta(minutes=1)
    chain.mine()
    chain.finalize()


def test_statement__of_all_days__begins_with_nothing_and_has_every_movement(desk: Desk) -> None:
    chain = moving(desk)
    statement = made(desk, chain.holders[0], days(10, 0), chain.chain_id)

    (account,) = statement.holdings
    assert [(item.kind, item.units, item.frozen_units) for item in account.movements] == [
        ("MINTED", 10, 0),
        ("TRANSFERRED", -4, 0),
        ("FROZEN", 0, 3),
        ("TRANSFERRED", 0, 0),
    ]
    assert (account.opening_units, account.opening_frozen) == (0, 0)
    assert (account.closing_units, account.closing_frozen) == (6, 3)
    assert account.movements[1].counterparty == chain.holders[1].wallet.address


def test_statement__wallet_was_frozen_whole__has_a_row_and_says_so_at_the_end(
    desk: Desk,
) -> None:
    chain = ledger.live(desk, 10, days_ago=5)
    who = chain.holders[0]
    chain.started += timedelta(days=2)
    chain.freeze(who.wallet.address)
    read_to_now(chain)
    chain.freeze(who.wallet.address, frozen=False)

    over = made(desk, who, days(10, 2), chain.chain_id)
    (account,), (later,) = over.holdings, made(desk, who, days(1, 0), chain.chain_id).holdings

    assert [item.kind for item in account.movements] == ["MINTED", "WALLET_FROZEN"]
    assert (account.opening_whole, account.closing_whole) == (False, True)
    assert [item.kind for item in later.movements] == ["WALLET_RELEASED"]
    assert (later.opening_whole, later.closing_whole) == (True, False)
    rows = csv.DictReader(io.StringIO(statement_csv(over, lambda raw: raw.hex()).decode()))
    told = [(row["row"], row["kind"]) for row in rows if row["wallet"]]
    assert told[-2:] == [("MOVEMENT", "WALLET_FROZEN"), ("CLOSING", "WALLET_FROZEN")]
    for language in Language:
        assert statement_pdf(over, language).startswith(b"%PDF")


def test_statements__of_days_that_follow__close_where_the_next_one_opens(desk: Desk) -> None:
    chain = moving(desk)
    mined = day_of(chain.block(0).mined_at)
    cut = TODAY - mined
    read_to_now(chain)
    first = made(desk, chain.holders[0], days(30, cut.days + 1), chain.chain_id)
    second = made(desk, chain.holders[0], days(cut.days, 0), chain.chain_id)

    assert first.holdings[0].closing_units == second.holdings[0].opening_units == 10
    assert second.holdings[0].closing_units == 6
    assert all(account.adds_up for account in (*first.holdings, *second.holdings))


def test_statement__in_which_nothing_moved__tells_what_was_held(desk: Desk) -> None:
    chain = ledger.live(desk, 10, days_ago=5)
    read_to_now(chain)
    (account,) = made(desk, chain.holders[0], days(2, 1), chain.chain_id).holdings

    assert (account.opening_units, account.movements, account.closing_units) == (10, [], 10)


def test_statement__of_days_before_the_chain__is_empty(desk: Desk) -> None:
    chain = ledger.live(desk, 10, days_ago=5)
    chain.finalize()
    statement = made(desk, chain.holders[0], days(40, 30), chain.chain_id)

    assert (statement.holdings, statement.opening_block, statement.closing_block) == (
        [],
        None,
        None,
    )


def test_statement__of_days_whose_end_is_not_read__is_refused_until_it_is(desk: Desk) -> None:
    """The sync stood still when the days ended; what moved since the newest block is not known."""
    chain = ledger.live(desk, 10, days_ago=5)
    chain.finalize()
    me, other = (chain.holders[0].wallet.address, make.buyer(desk).wallet.address)
    over = days(9, 2)
    with pytest.raises(Unavailable, match="statement_not_complete"):
        made(desk, chain.holders[0], over, chain.chain_id)
    (so_far,) = made(desk, chain.holders[0], days(9, 0), chain.chain_id).holdings
    assert so_far.closing_units == 10

    chain.started += timedelta(days=1)
    chain.move(me, other, 4)
    chain.started = now() - timedelta(minutes=1)
    chain.mine()
    with pytest.raises(Unavailable, match="statement_not_complete"):  # read, and not final
        made(desk, chain.holders[0], over, chain.chain_id)
    chain.finalize()

    (account,) = made(desk, chain.holders[0], over, chain.chain_id).holdings
    assert account.closing_units == 6


def test_statement__of_days_that_are_over__is_refused_while_the_chain_is_in_doubt(
    desk: Desk,
) -> None:
    chain = ledger.live(desk, 10, days_ago=5)
    read_to_now(chain)
    cursor = desk.session.get_one(SyncCursor, chain.chain_id)
    cursor.degraded, cursor.degraded_since = "reorg_below_finality", now()
    desk.session.flush()

    with pytest.raises(Unavailable, match="cap_table_degraded"):
        made(desk, chain.holders[0], days(9, 2), chain.chain_id)
    statement = made(desk, chain.holders[0], days(9, 0), chain.chain_id)
    assert statement.closing_block is not None
    assert statement.finality_of(statement.closing_block) == "degraded"


def test_statement__of_a_chain_that_was_never_read__is_refused_once_over(desk: Desk) -> None:
    with pytest.raises(Unavailable, match="sync_not_started"):
        made(desk, make.buyer(desk), days(9, 2))


def test_statement__that_does_not_add_up__is_not_handed_out(desk: Desk) -> None:
    chain = moving(desk)
    rows = desk.session.exec(
        select(BalanceAt)
        .where(BalanceAt.token_no == chain.token.token_no)
        .order_by(BalanceAt.block_number.desc())  # type: ignore[attr-defined]
    ).all()
    for row in rows:
        row.balance_units += 1
        desk.session.add(row)
    desk.session.flush()

    with pytest.raises(Unavailable, match="statement_does_not_add_up"):
        made(desk, chain.holders[0], days(10, 0), chain.chain_id)


def test_statement__of_money__has_what_came_was_used_and_went_back(desk: Desk) -> None:
    sale = sales.offering(desk, sales.wrapped_apartment(desk), offered_units=100)
    buyer = make.buyer(desk)
    price = sale.price_paisa
    used = sales.order(desk, sale, buyer, units=3)
    sales.pay(desk, used, 3 * price + 7)
    given_up = sales.order(desk, sale, buyer, units=1)
    sales.pay(desk, given_up, 5)
    leaving.cancel_order(desk.session, buyer.actor, given_up.id)
    record_refund(desk.session, TREASURY, given_up.id, rail_reference="back-2")
    used.state = OrderState.MINTING
    desk.session.flush()
    minting.settle_orders(desk.session, [used.id])

    money = made(desk, buyer, days(1, -1)).money
    assert [(item.kind, item.amount_paisa) for item in money.movements] == [
        (EntryKind.RECEIPT, 3 * price + 7),
        (EntryKind.RECEIPT, 5),
        (EntryKind.REFUND, -5),
        (EntryKind.SETTLEMENT, -3 * price),
    ]
    assert (money.opening_paisa, money.closing_paisa) == (0, 7)
    assert (money.in_paisa, money.out_paisa) == (3 * price + 12, 3 * price + 5)
    chain = ledger.live(desk, 10)
    read_to_now(chain)
    assert made(desk, buyer, days(9, 2), chain.chain_id).money.movements == []


def test_statement__of_money__has_payouts_whatever_became_of_their_notices(desk: Desk) -> None:
    redeeming = redemptions.being_paid(desk)
    redemptions.pay_all(desk, redeeming.redemption)
    who, period = redeeming.ledger.holders[0], days(0, 0)
    [due] = [
        row
        for row in list_payouts(desk.session, redeeming.redemption.id)
        if row.party_id == who.investor.party_id
    ]

    def paid_out() -> list[PaidOut]:
        money = read_money(desk.session, who.investor, period.begins_at, period.ends_at)
        return list(money.payouts)

    before = paid_out()
    connection = desk.session.connection()
    connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
    connection.exec_driver_sql("DELETE FROM notice WHERE kind = 'payout.paid'")
    connection.exec_driver_sql("SET LOCAL session_replication_role = origin")

    assert [(each.redemption_id, each.amount_paisa) for each in before] == [
        (redeeming.redemption.id, due.amount_paisa)
    ]
    assert paid_out() == before
    yesterday = days(1, 1)
    told = read_money(desk.session, who.investor, yesterday.begins_at, yesterday.ends_at)
    assert told.payouts == []


def test_statement_csv__its_rows__add_up_by_themselves(desk: Desk) -> None:
    chain = moving(desk)
    statement = made(desk, chain.holders[0], days(10, 0), chain.chain_id)
    written = statement_csv(statement, lambda raw: f"0x{raw.hex()}").decode()
    rows = list(csv.DictReader(io.StringIO(written)))

    mine = [row for row in rows if row["wallet"]]
    by_kind = {row["row"]: int(row["units"]) for row in mine if row["row"] != "MOVEMENT"}
    moved = sum(int(row["units"]) for row in mine if row["row"] == "MOVEMENT")
    assert by_kind["OPENING"] + moved == by_kind["CLOSING"] == 6
    assert [row["amount_pkr"] for row in rows if row["account"] == "PKR"] == ["0.00", "0.00"]
    block = statement.closing_block
    assert block is not None
    balance = next(row for row in mine if row["row"] == "CLOSING")
    told = (balance["time"], balance["block_number"], balance["finality"])
    assert told == (block.mined_at.isoformat(), str(block.number), "latest")
    chain.finalize()
    final = made(desk, chain.holders[0], days(10, 0), chain.chain_id)
    assert b",finalized" in statement_csv(final, lambda raw: f"0x{raw.hex()}")


@pytest.mark.parametrize("language", list(Language))
def test_statement_pdf__in_each_language__is_made_with_our_own_fonts(
    desk: Desk, language: Language
) -> None:
    chain = moving(desk)
    statement = replace(
        made(desk, chain.holders[0], days(10, 0), chain.chain_id), made_at=now().replace(year=2026)
    )
    written = statement_pdf(statement, language)

    assert written.startswith(b"%PDF-")
    assert written == statement_pdf(statement, language)
    fonts = set(re.findall(rb"/BaseFont ?/[A-Z]{6}\+([A-Za-z]+)", written))
    assert (b"NotoNaskhArabic" in b" ".join(fonts)) == (language == Language.URDU)


# Periods


def test_read_period__month__is_all_of_it() -> None:
    assert read_period("2024-02") == Period(date(2024, 2, 1), date(2024, 2, 29))
    assert read_period("2025-12").last == date(2025, 12, 31)
    assert read_period("2025-01-01--2025-12-31").first == date(2025, 1, 1)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("", "statement_period_malformed"),
        ("2025-13", "statement_period_malformed"),
        ("2025-00", "statement_period_malformed"),
        ("0000-01", "statement_period_malformed"),
        ("1999-01", "statement_period_malformed"),
        ("2025-1", "statement_period_malformed"),
        ("2025-02-30--2025-03-01", "statement_period_malformed"),
        ("2025-03-02--2025-03-01", "statement_period_malformed"),
        ("2025-01-01/2025-02-01", "statement_period_malformed"),
        ("2024-01-01--2025-12-31", "statement_too_long"),
        ("9998-01", "statement_in_future"),
        ("9999-12", "statement_period_malformed"),
    ],
)
def test_read_period__no_period__is_refused(written: str, code: str) -> None:
    with pytest.raises(Invalid, match=code):
        read_period(written)


def test_period__begins_and_ends__at_midnight_of_the_seat() -> None:
    period = read_period("2025-03")

    assert period.begins_at.astimezone(SEAT).isoformat() == "2025-03-01T00:00:00+05:00"
    assert period.ends_at.astimezone(SEAT).isoformat() == "2025-04-01T00:00:00+05:00"
    assert period.is_over
    assert not month_of(TODAY).is_over


def test_months_since__enrolment__run_to_this_month() -> None:
    months = months_since(now() - timedelta(days=70))

    assert months[0] == month_of(TODAY)
    assert len(months) in {3, 4}
    assert months == sorted(months, key=lambda month: month.first, reverse=True)


def token_apart(
    desk: Desk, chain: Ledger, *, caught_up_to: int | None, refusal: str | None
) -> None:
    token = chain.token
    token.caught_up_to, token.refusal = caught_up_to, refusal
    token.refused_at = None if refusal is None else caught_up_to
    desk.session.add(token)
    desk.session.flush()


def test_statement__one_token_is_refused__leaves_it_out_and_names_it(desk: Desk) -> None:
    chain = moving(desk)
    token_apart(desk, chain, caught_up_to=3, refusal="it said what cannot be")

    statement = made(desk, chain.holders[0], days(10, 0), chain.chain_id)

    [left] = statement.left_out
    assert (left.tokenization.id, left.reason) == (chain.tokenization.id, "it said what cannot be")
    assert statement.holdings == []
    rows = statement_csv(statement, lambda address: address.hex()).decode().splitlines()
    assert f"{chain.tokenization.symbol},,NOT_FOLLOWED" in rows[1]
    for language in Language:
        assert statement_pdf(statement, language).startswith(b"%PDF")


@pytest.mark.parametrize("gone", [True, False], ids=["it is refused", "it is followed again"])
def test_statement__a_token_that_was_bought_is_read_from_its_first_block__is_not_told_as_nothing(
    desk: Desk, *, gone: bool
) -> None:
    chain = moving(desk)
    order = sales.on_chain(desk, make.buyer(desk))
    who = next_holder(desk, chain, order)
    token_apart(desk, chain, caught_up_to=-1, refusal="nonsense" if gone else None)

    if not gone:
        with pytest.raises(Unavailable, match="token_catching_up"):
            made(desk, who, days(10, 0), chain.chain_id)
        return
    assert [each.reason for each in made(desk, who, days(10, 0), chain.chain_id).left_out]


def test_statement__a_token_that_came_by_a_transfer_is_read_again__is_named(desk: Desk) -> None:
    chain = moving(desk)
    token_apart(desk, chain, caught_up_to=2, refusal=None)
    stranger = make.buyer(desk)  # as who got some later than that, for all that is known

    statement = made(desk, stranger, days(10, 0), chain.chain_id)

    [left] = statement.left_out
    assert (left.tokenization.id, left.reason, left.caught_up_to) == (
        chain.tokenization.id,
        None,
        2,
    )
    rows = statement_csv(statement, lambda address: address.hex()).decode().splitlines()
    assert f"{chain.tokenization.symbol},,READ_AGAIN" in rows[1]
    for language in Language:
        assert statement_pdf(statement, language).startswith(b"%PDF")


def next_holder(desk: Desk, chain: Ledger, order: Order) -> Buyer:
    """Let an order have bought of a token, of which the chain's history is lost for now."""
    sale = desk.session.get_one(Offering, order.offering_id)
    sale.tokenization_id = chain.tokenization.id
    order.state = OrderState.SETTLED
    desk.session.flush()
    investor = desk.session.get_one(Investor, order.investor_id)
    return Buyer(make.actor(Role.INVESTOR), investor, desk.session.get_one(Wallet, order.wallet_id))


def test_statement__a_token_is_read_again_beyond_the_period__is_told_of_it(desk: Desk) -> None:
    chain = moving(desk)
    mined = day_of(chain.block(0).mined_at)
    cut = TODAY - mined
    read_to_now(chain)
    who = chain.holders[0]
    period = days(30, cut.days + 1)
    whole = made(desk, who, period, chain.chain_id)
    assert whole.closing_block is not None

    token_apart(desk, chain, caught_up_to=whole.closing_block.number, refusal=None)
    assert made(desk, who, period, chain.chain_id).holdings == whole.holdings

    token_apart(desk, chain, caught_up_to=whole.closing_block.number - 1, refusal=None)
    with pytest.raises(Unavailable, match="token_catching_up"):
        made(desk, who, period, chain.chain_id)

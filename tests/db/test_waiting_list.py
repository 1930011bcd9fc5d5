"""Who waits for what is sold out, and gets what becomes free."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy import event
from sqlmodel import Session, col, select

from registry.asset import service as assets
from registry.asset.models import Asset, AssetState
from registry.encumbrance.models import EncumbranceKind
from registry.investor.models import KycState, WalletState
from registry.journal.models import JournalEntry
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Conflict, Forbidden, Invalid, NotFound
from registry.notice.models import Notice
from registry.offering import ending, leaving, orders, unwinding, waiting
from registry.offering import service as offerings
from registry.offering.models import (
    Allotment,
    Offering,
    Order,
    OrderState,
    WaitingEntry,
    WaitingState,
)
from registry.sweep.service import CLOCKS
from registry.tokenization import service as tokenizations
from tests import court, liens, sales
from tests import factories as make
from tests.db.stage import Stage, StageMaker
from tests.factories import COMPLIANCE, Buyer, Desk

pytestmark = pytest.mark.db

OFFERED, HOURS = 20, 24


@dataclass(frozen=True)
class Market:
    """A sale that is sold out, to one buyer; the others come too late."""

    sale: Offering
    buyer: Buyer
    sold: Order
    first: Buyer
    second: Buyer


def open_market(desk: Desk) -> Market:
    sale = sales.offering(
        desk,
        sales.wrapped_apartment(desk),
        offered_units=OFFERED,
        minimum_units=1,
        min_ticket_units=2,
        cooling_off_hours=48,
        waiting_list_hours=HOURS,
    )
    buyer = make.buyer(desk)
    sold = sales.order(desk, sale, buyer, units=OFFERED)
    return Market(sale, buyer, sold, make.buyer(desk), make.buyer(desk))


@pytest.fixture(scope="module")
def stage(make_stage: StageMaker) -> Iterator[Stage[Market]]:
    with make_stage(open_market) as stage:
        yield stage


@pytest.fixture(scope="module")
def database(stage: Stage[Market]) -> Database:
    return stage.database


@pytest.fixture
def market(stage: Stage[Market], session: Session) -> Market:
    return stage.on(session)


def join(desk: Desk, market: Market, who: Buyer, units: int = 5) -> WaitingEntry:
    return waiting.join_waiting_list(
        desk.session,
        who.actor,
        market.sale.id,
        units=units,
        wallet_address=who.wallet.address,
    )


def cancel(desk: Desk, market: Market) -> None:
    leaving.cancel_order(desk.session, market.buyer.actor, market.sold.id)


def offered_to(desk: Desk, who: Buyer) -> list[Order]:
    return list(orders.list_orders(desk.session, investor_id=who.investor.id))


# Joining


def test_join__sold_out__waits_in_the_order_of_coming(desk: Desk, market: Market) -> None:
    first, second = join(desk, market, market.first), join(desk, market, market.second)

    places = {first.id: 1, second.id: 2}
    assert waiting.places_of(desk.session, [first, second]) == places
    assert waiting.places_of(desk.session, [second]) == {second.id: 2}
    assert first.state == WaitingState.WAITING
    assert market.sale.reserved_units == OFFERED


def test_join__enough_is_left__is_not_needed(desk: Desk, market: Market) -> None:
    cancel(desk, market)
    with pytest.raises(Conflict, match="waiting_list_not_needed"):
        join(desk, market, market.first, OFFERED)


def test_join__more_than_is_offered__is_refused(desk: Desk, market: Market) -> None:
    with pytest.raises(Conflict, match="order_exceeds_offer"):
        join(desk, market, market.first, OFFERED + 1)


def test_join__twice__is_refused_until_one_leaves(desk: Desk, market: Market) -> None:
    entry = join(desk, market, market.first)
    with pytest.raises(Conflict, match="already_waiting"):
        join(desk, market, market.first, 7)

    waiting.leave_waiting_list(desk.session, market.first.actor, entry.id)
    assert entry.state == WaitingState.LEFT
    assert waiting.places_of(desk.session, [entry]) == {}
    join(desk, market, market.first, 7)


def test_join__below_the_ticket_or_without_kyc__is_refused_as_an_order_is(
    desk: Desk, market: Market
) -> None:
    with pytest.raises(Invalid, match="order_below_ticket"):
        join(desk, market, market.first, 1)
    market.first.investor.kyc_state = KycState.PENDING
    with pytest.raises(Forbidden, match="kyc_not_passed"):
        join(desk, market, market.first)


@pytest.mark.parametrize("change", ["hours", "allotment"])
def test_join__sale_without_a_list__is_refused(desk: Desk, market: Market, change: str) -> None:
    if change == "hours":
        market.sale.waiting_list_hours = 0
    else:
        market.sale.allotment = Allotment.PRO_RATA

    with pytest.raises(Conflict, match="waiting_list_absent"):
        join(desk, market, market.first)


def test_leave__of_another__is_not_found(desk: Desk, market: Market) -> None:
    entry = join(desk, market, market.first)

    with pytest.raises(NotFound):
        waiting.leave_waiting_list(desk.session, market.second.actor, entry.id)


# Being offered what became free


def test_cancel__somebody_waits__is_offered_an_order_for_a_limited_time(
    desk: Desk, market: Market
) -> None:
    entry = join(desk, market, market.first)

    cancel(desk, market)

    [order] = offered_to(desk, market.first)
    assert (order.units, order.state) == (5, OrderState.AWAITING_PAYMENT)
    assert order.waiting_entry_id == entry.id
    assert order.pay_until == order.recorded_at + timedelta(hours=HOURS)
    assert order.withdrawable_until == order.recorded_at + timedelta(hours=48)
    assert (entry.state, market.sale.reserved_units) == (WaitingState.OFFERED, 5)
    assert waiting.orders_of(desk.session, [entry]) == {entry.id: order.id}
    with pytest.raises(Conflict, match="not_waiting"):
        waiting.leave_waiting_list(desk.session, market.first.actor, entry.id)


def test_cancel__several_wait__all_that_fit_are_offered_in_their_order(
    desk: Desk, market: Market
) -> None:
    third = make.buyer(desk)
    large = join(desk, market, market.first, 15)
    too_large = join(desk, market, market.second, 10)
    small = join(desk, market, third, 5)

    cancel(desk, market)

    states = [entry.state for entry in (large, too_large, small)]
    assert states == [WaitingState.OFFERED, WaitingState.WAITING, WaitingState.OFFERED]
    assert market.sale.reserved_units == OFFERED


def test_withdraw__somebody_waits__is_offered_the_same(desk: Desk, market: Market) -> None:
    sales.pay(desk, market.sold)
    join(desk, market, market.first, OFFERED)

    leaving.withdraw_order(desk.session, market.buyer.actor, market.sold.id)

    [order] = offered_to(desk, market.first)
    assert order.units == OFFERED
    assert market.sold.state == OrderState.REFUND_DUE


def test_lapse__offered_and_not_paid__is_offered_to_the_next(desk: Desk, market: Market) -> None:
    join(desk, market, market.first, OFFERED)
    join(desk, market, market.second, OFFERED)
    cancel(desk, market)
    [order] = offered_to(desk, market.first)
    assert leaving.list_unpaid(desk.session) == []
    with pytest.raises(Conflict, match="order_not_cancellable"):
        leaving.lapse_order(desk.session, order.id)

    order.pay_until = now()
    desk.session.flush()
    assert leaving.list_unpaid(desk.session) == [order.id]
    leaving.lapse_order(desk.session, order.id)

    assert order.state == OrderState.CANCELLED
    [next_order] = offered_to(desk, market.second)
    assert next_order.state == OrderState.AWAITING_PAYMENT


def test_lapse__paid_in_time__is_left_alone(desk: Desk, market: Market) -> None:
    join(desk, market, market.first)
    cancel(desk, market)
    [order] = offered_to(desk, market.first)
    sales.pay(desk, order)
    order.pay_until = now()
    desk.session.flush()

    assert leaving.list_unpaid(desk.session) == []
    with pytest.raises(Conflict, match="order_not_cancellable"):
        leaving.lapse_order(desk.session, order.id)


def test_offer__who_may_not_buy_any_more__is_passed_over_and_stays(
    desk: Desk, market: Market
) -> None:
    entry = join(desk, market, market.first, OFFERED)
    join(desk, market, market.second, OFFERED)
    market.first.investor.kyc_valid_until = now() - timedelta(seconds=1)
    desk.session.flush()

    cancel(desk, market)

    assert entry.state == WaitingState.WAITING
    assert offered_to(desk, market.first) == []
    assert len(offered_to(desk, market.second)) == 1
    assert acts(desk, "waiting_list_passed_over") == 1


@pytest.mark.parametrize("state", [WalletState.RETIRING, WalletState.RETIRED])
def test_offer__who_gave_up_the_wallet_they_waited_with__is_offered_it_in_another(
    desk: Desk, market: Market, state: WalletState
) -> None:
    who = market.first
    entry = join(desk, market, who)
    who.wallet.state = state
    other = make.proven_wallet(desk, who.actor, who.investor.id)
    desk.session.flush()

    cancel(desk, market)  # while the other has no identity yet
    assert waiting.due_lists(desk.session) == []
    other.identity = secrets.token_bytes(20)
    desk.session.flush()
    assert ring(desk) == 1

    [order] = offered_to(desk, who)
    assert (entry.state, entry.wallet_id) == (WaitingState.OFFERED, other.id)
    assert order.wallet_id == other.id


def test_offer__order_binds_the_oldest_of_their_other_wallets__is_offered_it_in_the_next(
    desk: Desk, market: Market
) -> None:
    who = market.first
    join(desk, market, who)
    who.wallet.state = WalletState.RETIRED
    others = [make.proven_wallet(desk, who.actor, who.investor.id) for _ in range(2)]
    for other in others:
        other.identity = secrets.token_bytes(20)
    desk.session.flush()
    court.apply(desk, court.on_wallet(desk, others[0].address))

    cancel(desk, market)

    assert [order.wallet_id for order in offered_to(desk, who)] == [others[1].id]


def asset_of(desk: Desk, market: Market) -> Asset:
    token = tokenizations.get_tokenization(desk.session, market.sale.tokenization_id)
    return assets.get_asset(desk.session, token.asset_id)


def ring(desk: Desk) -> int:
    """Have the clock of waiting lists ring, and return how often it was due."""
    [clock] = [clock for clock in CLOCKS if clock.name == "waiting_list"]
    due = clock.due(desk.session)
    for offering_id in due:
        clock.ring(desk.session, offering_id)
    return len(due)


def acts(desk: Desk, act: str) -> int:
    return len(desk.session.exec(select(JournalEntry).where(JournalEntry.act == act)).all())


def test_cancel__while_the_sale_rests__offers_nothing_until_it_goes_on(
    desk: Desk, market: Market
) -> None:
    entry = join(desk, market, market.first, OFFERED)
    asset = asset_of(desk, market)
    liens.active(desk, asset, EncumbranceKind.STAY_ORDER)
    assert asset.state == AssetState.SUSPENDED

    cancel(desk, market)

    assert offered_to(desk, market.first) == []
    assert (entry.state, market.sale.reserved_units) == (WaitingState.WAITING, 0)
    assert acts(desk, "waiting_list_passed_over") == 0
    assert ring(desk) == 0

    asset.state = AssetState.REGISTERED  # two people have reinstated it
    desk.session.flush()
    assert ring(desk) == 1
    [order] = offered_to(desk, market.first)
    assert order.waiting_entry_id == entry.id
    assert entry.state == WaitingState.OFFERED
    assert ring(desk) == 0


def test_clock__only_who_may_not_buy_waits__is_not_due_and_journals_nothing(
    desk: Desk, market: Market
) -> None:
    join(desk, market, market.first, OFFERED)
    valid = market.first.investor.kyc_valid_until
    market.first.investor.kyc_valid_until = now() - timedelta(seconds=1)
    desk.session.flush()
    cancel(desk, market)

    assert ring(desk) == 0
    assert acts(desk, "waiting_list_passed_over") == 0  # nobody behind them was offered anything

    market.first.investor.kyc_valid_until = valid
    desk.session.flush()
    assert ring(desk) == 1
    assert len(offered_to(desk, market.first)) == 1


def test_clock__nobody_waits_or_too_little_is_left__is_not_due(desk: Desk, market: Market) -> None:
    assert ring(desk) == 0
    join(desk, market, market.first)
    assert ring(desk) == 0


def test_cancel__after_the_sale_was_stopped__offers_nothing(desk: Desk, market: Market) -> None:
    join(desk, market, market.first)
    ending.stop_offering(desk.session, COMPLIANCE, market.sale.id, reason="Enough")

    cancel(desk, market)

    assert offered_to(desk, market.first) == []


@pytest.mark.parametrize("how", ["closed", "failed"])
def test_end__of_the_sale__lets_everybody_go(desk: Desk, market: Market, how: str) -> None:
    entry = join(desk, market, market.first)
    if how == "closed":
        sales.pay(desk, market.sold).withdrawable_until = None
        offerings.close_and_mint(desk.session, COMPLIANCE, market.sale.tokenization_id)
    else:
        unwinding.unwind_offering(
            desk.session, COMPLIANCE, market.sale.tokenization_id, reason="Nobody paid"
        )

    desk.session.refresh(entry)
    assert entry.state == WaitingState.CLOSED
    assert len(desk.session.exec(select(Order)).all()) == 1


def notices_of(desk: Desk, who: Buyer) -> list[Notice]:
    query = select(Notice).where(Notice.principal == who.actor.subject).order_by(col(Notice.id))
    return [each for each in desk.session.exec(query) if not each.kind.startswith("kyc")]


def test_notice__of_an_order_that_is_offered__says_until_when_and_for_which_place(
    desk: Desk, market: Market
) -> None:
    entry = join(desk, market, market.first)
    cancel(desk, market)

    [order] = offered_to(desk, market.first)
    told = notices_of(desk, market.first)[-1]
    assert (told.kind, told.subject_id) == ("order.offered", order.id)
    assert told.facts["waiting_entry_id"] == str(entry.id)
    assert datetime.fromisoformat(told.facts["pay_until"]) == order.pay_until


def test_notice__sale_ends_while_somebody_waits__says_that_their_turn_did_not_come(
    desk: Desk, market: Market
) -> None:
    entry = join(desk, market, market.first)
    unwinding.unwind_offering(
        desk.session, COMPLIANCE, market.sale.tokenization_id, reason="Nobody has paid"
    )

    told = notices_of(desk, market.first)[-1]
    assert (told.kind, told.subject_kind, told.subject_id) == (
        "waiting_list.closed", "waiting_entry", entry.id,
    )  # fmt: skip
    assert told.facts["offering_id"] == str(market.sale.id)


def test_offer__nobody_of_many_may_be_served__asks_all_of_them_in_as_many_statements_as_of_one(
    desk: Desk, market: Market
) -> None:
    def asked(units: int) -> int:
        market.sold.state = OrderState.AWAITING_PAYMENT
        market.sale.reserved_units = OFFERED
        desk.session.flush()
        before = len(told)
        cancel(desk, market)
        assert waiting.due_lists(desk.session) == []
        assert market.sale.reserved_units == units
        return len(told) - before

    told: list[str] = []
    event.listen(desk.session.connection(), "before_cursor_execute", lambda *of: told.append(of[2]))
    refused = [make.buyer(desk) for _ in range(12)]
    for who in refused[:2]:
        join(desk, market, who)
    for who in refused:
        who.investor.kyc_valid_until = now() - timedelta(seconds=1)
    desk.session.flush()
    few = asked(0)

    for who in refused:
        who.investor.kyc_valid_until = now() + timedelta(days=1)
    desk.session.flush()
    market.sale.reserved_units = OFFERED
    for who in refused[2:]:
        join(desk, market, who)
    for who in refused:
        court.apply(desk, court.on_party(desk, who.investor.party_id))
    desk.session.flush()

    assert asked(0) <= few + 1  # orders bind some of them: one statement more tells whom


def test_offer__more_than_are_served_at_once__the_clock_goes_on(
    desk: Desk, market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "MOST_AT_ONCE", 1)
    join(desk, market, market.first)
    join(desk, market, market.second)

    cancel(desk, market)
    assert (len(offered_to(desk, market.first)), len(offered_to(desk, market.second))) == (1, 0)
    assert ring(desk) == 1
    assert len(offered_to(desk, market.second)) == 1

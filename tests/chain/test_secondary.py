"""What the wrapper kept, sold on a real chain: who may buy, whoever settles, and how it ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func
from sqlmodel import col, select

from chain.contracts.abi import contract
from chain.node.client import hex_of
from registry.captable import trades
from registry.captable.models import ChainBlock, EventKind, TokenEvent
from registry.compliance.terms import ComplianceTerms
from registry.investor.models import Wallet, WalletState
from registry.kernel.clock import now
from registry.kernel.errors import RegistryError
from registry.offering import ending, leaving, orders
from registry.offering.models import Offering, OfferingState, Order, OrderState
from registry.operation.models import OperationState
from registry.portfolio.holdings import read_portfolio
from registry.report.prices import _ORDERS
from registry.settlement import service as settlements
from registry.sweep.service import sweep
from registry.tokenization.models import Tokenization, TokenizationState
from tests import factories
from tests.chain.dealing import DAY, ON_SALE, SELLER, UNITS, Dealing, actor_of, open_sale, place
from tests.chain.market import HELD, ISSUER, SECOND, Market, pass_kyc
from tests.chain.nodes import CHAIN_ID
from tests.chain.world import CONFIRMATIONS, Hand, address_of, key_of
from tests.factories import COMPLIANCE

pytestmark = pytest.mark.chain

THIRD, TRANSFER = 3, EventKind.TRANSFER


@pytest.fixture
def dealing(minted: Market) -> Dealing:
    return Dealing.begin(minted)


@pytest.fixture
def unsigned(minted: Market) -> Dealing:
    return Dealing.begin(minted, signed=False)


def settle_oneself(dealing: Dealing) -> None:
    """Send both signatures past us, as whoever has them may."""
    agreed, data = dealing.agreed(), dealing.typed_data()
    signature, permit = dealing.order().seller_signature, agreed.permit
    assert permit is not None
    buyer = Hand(dealing.world.node, key_of(SECOND))
    dealing.world.node.fund(buyer.address)
    buyer.call(
        "Settlement",
        dealing.settlement,
        "settleWithPermit",
        tuple(data["message"].values()),
        signature,
        agreed.signature,
        (permit.deadline, permit.v, permit.r, permit.s),
    )


def assert_paid_once(dealing: Dealing) -> None:
    order = dealing.order()
    assert order.state == OrderState.SETTLED
    [paid] = dealing.payments()
    assert order.trade_digest is not None
    assert paid.rail_reference == hex_of(order.trade_digest)
    with dealing.world.database.reading() as session:
        assert paid.received_at == trades.mined_at(session, order.trade_digest)
    assert dealing.rupees() == (dealing.price, 9 * dealing.price)
    assert dealing.units() == (HELD[ISSUER] - UNITS, HELD[SECOND] + UNITS)


def bury(dealing: Dealing) -> None:
    dealing.world.node.mine(CONFIRMATIONS + 1)
    dealing.index()


def refusal(run: Any) -> str:
    with pytest.raises(RegistryError) as refused:
        run()
    return refused.value.code


def let_time_pass(dealing: Dealing, **passed: float) -> None:
    """Have the order's time to pay be over for so long."""
    with dealing.world.database.transaction() as session:
        order = session.get_one(Order, dealing.order_id)
        order.pay_until = now() - timedelta(**passed)
        session.add(order)


def lapse(dealing: Dealing) -> Order:
    with dealing.world.database.transaction() as session:
        return leaving.lapse_order(session, dealing.order_id)


# Whoever settles


def test_trade__settled_past_us__completes_the_order_once(dealing: Dealing) -> None:
    settle_oneself(dealing)
    dealing.index()
    sweep(dealing.world.database)
    assert dealing.order().state == OrderState.AWAITING_PAYMENT, "the block is not final"

    bury(dealing)
    assert sweep(dealing.world.database)["trade_settled"] == 1
    assert_paid_once(dealing)
    with dealing.world.database.reading() as session:
        [sold] = [
            row
            for row in session.exec(select(TokenEvent).where(col(TokenEvent.kind) == TRANSFER))
            if row.source is not None
        ]
        priced = session.execute(
            _ORDERS,
            {"chain": CHAIN_ID, "blocks": [sold.block_number], "hashes": [sold.tx_hash]},
        ).all()
    assert [(row.units, row.amount_paisa) for row in priced] == [(UNITS, dealing.price)]
    assert sweep(dealing.world.database)["trade_settled"] == 0
    with dealing.world.database.transaction() as session:
        settlements.confirm_trade(session, dealing.order_id)
    assert_paid_once(dealing)


def test_trade__copied_while_ours_was_on_its_way__is_not_taken_for_failed(dealing: Dealing) -> None:
    operation = dealing.plan(dealing.agreed())
    settle_oneself(dealing)
    dealing.world.settle()
    assert dealing.read(operation).state == OperationState.REFUSED
    assert dealing.order().state == OrderState.AWAITING_PAYMENT
    assert refusal(lambda: lapse(dealing)) == "order_not_cancellable"

    bury(dealing)
    sweep(dealing.world.database)
    assert_paid_once(dealing)


def test_trade__settled_late_by_our_clock__is_not_lapsed(dealing: Dealing) -> None:
    settle_oneself(dealing)
    bury(dealing)
    let_time_pass(dealing, hours=1)
    with dealing.world.database.reading() as session:
        assert leaving.list_unpaid(session) == []
    assert refusal(lambda: lapse(dealing)) == "order_not_cancellable"
    sweep(dealing.world.database)
    assert_paid_once(dealing)


def test_lapse__signed_by_the_seller__waits_until_the_chain_is_read_past_its_end(
    dealing: Dealing, monkeypatch: pytest.MonkeyPatch
) -> None:
    dealing.index()
    with dealing.world.database.transaction() as session:
        head = session.exec(select(func.max(ChainBlock.mined_at))).one()
        order = session.get_one(Order, dealing.order_id)
        order.pay_until = head
        session.add(order)
    assert head is not None
    monkeypatch.setattr(leaving, "now", lambda: head + timedelta(hours=1))
    with dealing.world.database.reading() as session:
        assert leaving.list_unpaid(session) == []
    assert refusal(lambda: lapse(dealing)) == "order_not_cancellable"

    later = int(head.timestamp()) + 10
    dealing.world.node.rpc("evm_setNextBlockTimestamp", later)
    dealing.world.node.mine()
    dealing.index()
    assert refusal(lambda: lapse(dealing)) == "order_not_cancellable", "the block is not final"
    bury(dealing)
    assert sweep(dealing.world.database)["order_lapse"] == 1
    assert dealing.order().state == OrderState.CANCELLED
    dealing.world.settle()
    assert dealing.rupees() == (0, 10 * dealing.price)


def test_lapse__our_operation_waits_for_ever__ends_the_order_and_then_the_operation(
    dealing: Dealing,
) -> None:
    operation = dealing.plan(dealing.agreed())
    let_time_pass(dealing, minutes=1)
    bury(dealing)
    assert sweep(dealing.world.database)["order_lapse"] == 1
    assert dealing.order().state == OrderState.CANCELLED

    dealing.world.settle()
    problem = dealing.read(operation).problem
    assert problem is not None
    assert problem["code"] == "order_not_settling"
    assert dealing.order().state == OrderState.CANCELLED
    assert dealing.rupees() == (0, 10 * dealing.price)


def test_cancel__before_and_after_the_seller_signed(unsigned: Dealing) -> None:
    buyer = actor_of(unsigned.market, SECOND)
    unsigned.sign_as_seller()

    def cancel(order_id: UUID) -> Order:
        with unsigned.world.database.transaction() as session:
            return leaving.cancel_order(session, buyer, order_id)

    assert refusal(lambda: cancel(unsigned.order_id)) == "order_signed_by_seller"
    other = place(unsigned.market, unsigned.sale_id)
    assert cancel(other.id).state == OrderState.CANCELLED
    assert refusal(lambda: unsigned.sign_as_seller(other.id)) == "order_not_awaiting_payment"
    assert refusal(unsigned.sign_as_seller) == "trade_signed"


# Who may buy, and how much


def newcomer(market: Market) -> None:
    """Bring somebody's KYC on chain who holds nothing."""
    with market.world.database.transaction() as session:
        at = market.desk(session)
        who, investor = factories.enrolled(at)
        pass_kyc(at, who, investor, THIRD)
    market.world.settle()


def test_buyer__holds_none_of_it_yet__is_registered_first(dealing: Dealing) -> None:
    newcomer(dealing.market)
    order = place(dealing.market, dealing.sale_id, THIRD)
    dealing.sign_as_seller(order.id)
    theirs = replace(dealing, order_id=order.id)
    dealing.give_rupees(dealing.price, address_of(key_of(THIRD)))
    permit = theirs.permit(now().timestamp() + DAY, THIRD)
    signature = theirs.signature(THIRD)
    operation = theirs.plan(theirs.agreed(signature=signature, permit=permit))

    dealing.world.settle()
    assert dealing.read(operation).state == OperationState.FINAL, dealing.read(operation).problem
    assert theirs.order().state == OrderState.SETTLED
    dealing.market.suite().index()
    dealing.market.suite().assert_exact()
    with dealing.world.database.reading() as session:
        [position] = read_portfolio(session, order.investor_id, CHAIN_ID).positions
    assert (position.units, position.cost_paisa) == (UNITS, dealing.price)
    assert position.last_sale is not None


def test_order__beyond_what_one_may_hold_or_of_the_seller__is_refused(dealing: Dealing) -> None:
    world = dealing.world
    with world.database.transaction() as session:
        token = session.get_one(Tokenization, dealing.market.deal.tokenization_id)
        held = HELD[SECOND] + UNITS
        token.compliance = ComplianceTerms(max_units_per_holder=held + 9, max_holders=3).record()
        session.add(token)

    market, sale = dealing.market, dealing.sale_id
    assert refusal(lambda: place(market, sale, units=10)) == "order_exceeds_holding"
    assert place(market, sale, units=9).units == 9
    assert refusal(lambda: place(market, sale, ISSUER)) == "seller_is_buyer"
    newcomer(market)
    assert refusal(lambda: place(market, sale, THIRD)) == "holders_exhausted"
    assert refusal(lambda: place(market, sale, units=ON_SALE)) == "order_exceeds_offer"


def test_sale__more_than_is_held_or_a_second_one__is_refused(dealing: Dealing) -> None:
    assert refusal(lambda: open_sale(dealing.market)) == "secondary_sale_open"
    with dealing.world.database.transaction() as session:
        ending.stop_offering(session, COMPLIANCE, dealing.sale_id, reason="sold enough")
    assert sweep(dealing.world.database)["secondary_sale_end"] == 0, "an order can still be paid"
    assert refusal(lambda: open_sale(dealing.market)) == "secondary_sale_open"

    operation = dealing.plan(dealing.agreed())
    dealing.world.settle()
    assert dealing.read(operation).state == OperationState.FINAL
    assert sweep(dealing.world.database)["secondary_sale_end"] == 1
    with dealing.world.database.reading() as session:
        assert session.get_one(Offering, dealing.sale_id).state == OfferingState.CLOSED
        first = orders.find_offering_of(session, dealing.market.deal.tokenization_id)
        assert first is not None
        assert first.id != dealing.sale_id
    dealing.market.suite().index()
    more = HELD[ISSUER] - UNITS + 1
    assert refusal(lambda: open_sale(dealing.market, offered_units=more)) == "offer_exceeds_held"
    assert open_sale(dealing.market, offered_units=more - 1).offered_units == more - 1


def test_plan__two_orders_of_a_wallet__go_one_after_the_other(dealing: Dealing) -> None:
    other = place(dealing.market, dealing.sale_id)
    dealing.sign_as_seller(other.id)
    second = replace(dealing, order_id=other.id)
    operation = dealing.plan(dealing.agreed())
    assert refusal(lambda: second.plan(second.agreed())) == "purchase_under_way"

    dealing.world.settle()
    assert dealing.read(operation).state == OperationState.FINAL
    operation = second.plan(second.agreed())
    dealing.world.settle()
    assert second.read(operation).state == OperationState.FINAL
    assert second.order().state == OrderState.SETTLED


def test_seller__fractions_or_wallet_frozen__signs_nothing(unsigned: Dealing) -> None:
    token, node = unsigned.market.suite(), unsigned.world.node
    agent, seller = unsigned.world.place("CaseAgent"), hex_of(SELLER)
    functions = contract("Token").functions
    node.act_as(
        agent,
        token.token,
        functions["freezePartialTokens"].encode(seller, HELD[ISSUER] - UNITS + 1),
    )
    assert refusal(unsigned.sign_as_seller) == "seller_units_bound"

    node.act_as(agent, token.token, functions["setAddressFrozen"].encode(seller, True))
    unsigned.index()
    assert refusal(lambda: place(unsigned.market, unsigned.sale_id)) == "seller_not_ready"


def test_sale__of_a_wallet_that_is_given_up_or_outside_the_window__rests(
    unsigned: Dealing,
) -> None:
    market, database = unsigned.market, unsigned.world.database
    opens = now() + timedelta(days=2)
    for terms, code in (
        (ComplianceTerms(opens_at=opens), "transfers_not_open"),
        (ComplianceTerms(closes_at=now() - timedelta(days=1)), "transfers_closed"),
        (ComplianceTerms(lockup_days=30), None),
    ):
        with database.transaction() as session:
            token = session.get_one(Tokenization, market.deal.tokenization_id)
            token.compliance = terms.record()
            session.add(token)
        if code is not None:
            assert refusal(lambda: place(market, unsigned.sale_id)) == code
    with database.transaction() as session:
        session.get_one(Offering, unsigned.sale_id).state = OfferingState.CLOSED
    assert refusal(lambda: open_sale(market, offered_units=1)) == "offer_exceeds_held"
    with database.transaction() as session:
        session.get_one(Offering, unsigned.sale_id).state = OfferingState.OPEN
        wallet = session.get_one(Wallet, market.wallet(ISSUER).id)
        wallet.state = WalletState.RETIRING
        session.add(wallet)
    assert refusal(unsigned.sign_as_seller) == "seller_not_ready"


def test_sale__token_not_live_or_seller_bound__rests(unsigned: Dealing) -> None:
    unsigned.market.let_kyc_run_out(ISSUER)
    assert refusal(unsigned.sign_as_seller) == "seller_not_ready"
    assert refusal(lambda: place(unsigned.market, unsigned.sale_id)) == "seller_not_ready"
    with unsigned.world.database.transaction() as session:
        token = session.get_one(Tokenization, unsigned.market.deal.tokenization_id)
        token.state = TokenizationState.PAUSED
        session.add(token)
    assert refusal(unsigned.sign_as_seller) == "token_not_live"
    assert refusal(lambda: place(unsigned.market, unsigned.sale_id)) == "token_not_live"

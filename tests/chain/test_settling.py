"""Delivery versus payment of an order on a real chain: both sides once, or neither."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chain.errors import RpcUnavailable
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, RegistryError
from registry.offering.models import Order, OrderState, PaymentState
from registry.offering.money import fault_of
from registry.operation.models import Operation, OperationKind, OperationState
from registry.payment.allocating import assign_payment, suggest_orders
from registry.payment.rails import BANK, Receipt
from registry.payment.receiving import book_receipt
from registry.settlement.service import Agreed, fail_settlement
from tests.chain.dealing import DAY, UNITS, Dealing, place
from tests.chain.faults import Died, LosesSends, Mortal
from tests.chain.market import HELD, ISSUER, SECOND, Market
from tests.factories import COMPLIANCE

pytestmark = pytest.mark.chain


@pytest.fixture
def dealing(minted: Market) -> Dealing:
    return Dealing.begin(minted)


def assert_settled_once(dealing: Dealing, operation: Operation) -> None:
    dealing.world.settle(impatient=True)
    found = dealing.read(operation)
    assert found.state == OperationState.FINAL, found.problem
    assert dealing.units() == (HELD[ISSUER] - UNITS, HELD[SECOND] + UNITS)
    assert dealing.rupees() == (dealing.price, 9 * dealing.price)
    assert dealing.order().state == OrderState.SETTLED
    [paid] = [each for each in dealing.payments() if each.rail == "onchain_rupee"]
    assert paid.amount_paisa == dealing.price
    assert paid.rail_reference == found.result["digest"]
    assert fault_of(dealing.order(), dealing.standing()) is None
    suite = dealing.market.suite()
    suite.index()
    suite.assert_exact()


def assert_refused(dealing: Dealing, operation: Operation, code: str, says: str) -> None:
    """Nothing has moved, and the order can be paid for in another way."""
    dealing.world.settle()
    found = dealing.read(operation)
    assert (found.state, found.nonce) == (OperationState.REFUSED, None)
    assert found.problem is not None
    assert found.problem["code"] == code
    assert says in str(found.problem["detail"])
    assert dealing.units() == (HELD[ISSUER], HELD[SECOND])
    assert dealing.rupees() == (0, 10 * dealing.price)
    assert dealing.order().state == OrderState.AWAITING_PAYMENT
    assert dealing.payments() == []


def test_settle__signed_by_both_with_a_permit__moves_both_by_the_settlement_key(
    dealing: Dealing,
) -> None:
    operation = dealing.plan(dealing.agreed())
    assert dealing.order().state == OrderState.SETTLING

    assert_settled_once(dealing, operation)
    key = dealing.world.chain.settlement
    assert key is not None
    assert dealing.read(operation).signer == key.address


def test_settle__permit_run_out__is_refused_and_goes_with_a_new_one(dealing: Dealing) -> None:
    late = dealing.agreed(permit_until=int(now().timestamp()) - DAY)
    assert_refused(dealing, dealing.plan(late), "call_would_revert", "ERC20InsufficientAllowance")
    assert_settled_once(dealing, dealing.plan(dealing.agreed()))


def test_settle__buyer_signed_something_else__is_refused(dealing: Dealing) -> None:
    data = dealing.typed_data()
    data["message"]["buyerNonce"] = 9
    forged = dealing.agreed(signature=dealing.signature(SECOND, data))
    assert_refused(dealing, dealing.plan(forged), "call_would_revert", "SettlementInvalidSignature")


def test_settle__kyc_ran_out_meanwhile__is_refused_before_it_is_signed(dealing: Dealing) -> None:
    operation = dealing.plan(dealing.agreed())
    dealing.market.let_kyc_run_out(SECOND)
    assert_refused(dealing, operation, "kyc_not_passed", "KYC")


@pytest.mark.parametrize("changes", [{"price_paisa": 1}, {"units": UNITS + 1}], ids=repr)
def test_plan__terms_are_not_the_orders__is_refused_and_nothing_is_planned(
    dealing: Dealing, changes: dict[str, Any]
) -> None:
    assert_not_planned(dealing, dealing.agreed(**changes), "settlement_terms_differ")


def assert_not_planned(dealing: Dealing, agreed: Agreed, code: str) -> None:
    with pytest.raises(RegistryError) as refused:
        dealing.plan(agreed)
    assert refused.value.code == code
    assert dealing.order().state == OrderState.AWAITING_PAYMENT
    assert not [e for e in dealing.world.operations() if e.kind == OperationKind.SETTLE]


def test_plan__seller_has_not_signed__is_refused(minted: Market) -> None:
    dealing = Dealing.begin(minted, signed=False)
    assert_not_planned(dealing, dealing.agreed(), "trade_not_signed")


def test_settle__twice__is_paid_once(dealing: Dealing) -> None:
    operation = dealing.plan(dealing.agreed())
    with pytest.raises(Conflict, match="SETTLING"):
        dealing.plan(dealing.agreed())
    assert_settled_once(dealing, operation)
    with pytest.raises(Conflict, match="SETTLED"):
        dealing.plan(dealing.agreed())

    # The same signatures, for another order of the same terms: each names its own order.
    old = dealing.agreed()
    other = place(dealing.market, dealing.sale_id).id
    dealing.sign_as_seller(other)
    again = dealing.plan(old, order_id=other)
    dealing.world.settle()
    problem = dealing.read(again).problem
    assert problem is not None
    assert "SettlementInvalidSignature" in str(problem["detail"])
    assert dealing.order(other).state == OrderState.AWAITING_PAYMENT
    assert dealing.rupees() == (dealing.price, 9 * dealing.price)


def test_bank__pays_for_an_order_on_chain__is_kept_apart_and_given_back(dealing: Dealing) -> None:
    receipt = Receipt("meanwhile", dealing.order().reference, dealing.price, now())
    with dealing.world.database.transaction() as session:
        payment = book_receipt(session, BANK, receipt)
        assert payment.state == PaymentState.UNALLOCATED
        with pytest.raises(Conflict) as refused:
            assign_payment(session, COMPLIANCE, payment.id, dealing.order_id)
        assert refused.value.code == "order_of_other_rail"
        assert suggest_orders(session, payment) == []
    assert dealing.order().state == OrderState.AWAITING_PAYMENT
    assert_settled_once(dealing, dealing.plan(dealing.agreed()))


@pytest.mark.parametrize("answered", [True, False], ids=["heard", "not heard"])
def test_settle__killed_at_every_call__happens_once(dealing: Dealing, answered: bool) -> None:
    operation = dealing.plan(dealing.agreed())
    world = dealing.world
    for calls in range(14):
        try:
            world.through(Mortal(world.node, calls, answered=answered)).turn(at_start=True)
        except Died:
            world.node.mine()
    assert_settled_once(dealing, operation)


def test_settle__send_times_out_after_the_node_took_it__happens_once(dealing: Dealing) -> None:
    operation = dealing.plan(dealing.agreed())
    with pytest.raises(RpcUnavailable):
        dealing.world.through(LosesSends(dealing.world.node, arrives=True)).turn()
    assert_settled_once(dealing, operation)


def test_settle__mined_after_its_time__is_reverted_and_the_order_waits_for_its_money_again(
    dealing: Dealing,
) -> None:
    """The register would not let it be signed any more; the chain still tells the reason."""
    operation, world = dealing.plan(dealing.agreed()), dealing.world
    world.turn()
    assert dealing.read(operation).state == OperationState.BROADCAST
    world.node.rpc("evm_increaseTime", 2 * DAY)
    with world.database.transaction() as session:
        session.get_one(Order, dealing.order_id).pay_until = now() - timedelta(seconds=1)

    world.settle()

    found = dealing.read(operation)
    assert found.state == OperationState.REVERTED
    assert "SettlementTooLate" in (found.problem or {})["detail"]
    assert dealing.order().state == OrderState.AWAITING_PAYMENT
    assert dealing.rupees() == (0, 10 * dealing.price)
    with world.database.transaction() as session:  # a reorg lets an end come twice
        fail_settlement(session, found)
    assert dealing.order().state == OrderState.AWAITING_PAYMENT
    # And what reverts is judged as before, of every key.
    for name in ("a pause", "one more"):
        paused = dealing.market.plan(OperationKind.PAUSE, name)
        world.settle()
    refused = dealing.read(paused)
    assert refused.state == OperationState.REFUSED
    assert (refused.problem or {})["code"] == "call_would_revert"

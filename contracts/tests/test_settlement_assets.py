"""Settlement holds to the rules of token and money, and to the exact amounts."""

import pytest
from brownie import reverts
from claims import DAY
from doubles import deploy_double
from settling import (
    MAX,
    PRICE,
    UNITS,
    buyer,
    enrol,
    rupee,
    seller,
    settle,
    settlement,
    suite,
    token,
    trade,
    unmoved,
)
from test_rupee_token import signed_permit

WELL, TAKES_FEE, GIVES_TOO_MUCH, MOVES_NOTHING, SAYS_FALSE, SETTLES_AGAIN, KEEPS_SENDERS = range(7)


# The token's and the money's own rules


def test_settle__buyer_not_verified__refused(
    settlement, trade, seller, key, rupee, operator, stranger
):
    rupee.mint(key, PRICE, {"from": operator})
    rupee.approve(settlement, PRICE, {"from": key})
    sold = trade.but(buyer=key.address)
    with reverts("Transfer not possible"):
        settlement.settle(*sold.signed(settlement, seller, key), {"from": stranger})
    assert rupee.balanceOf(key) == PRICE


def test_settle__buyers_kyc_revoked__refused(settle, trade, issuer, key, factory, buyer, unmoved):
    issuer.revoke(factory.linkOf(buyer)[0], 1_001, {"from": key})
    with reverts("Transfer not possible"):
        settle(trade)


def test_settle__token_paused_or_frozen__refused(suite, settle, trade, owner, seller, unmoved):
    suite.token.setAddressFrozen(seller, True, {"from": owner})
    with reverts("wallet is frozen"):
        settle(trade)
    suite.token.setAddressFrozen(seller, False, {"from": owner})
    suite.token.pause({"from": owner})
    with reverts("Pausable: paused"):
        settle(trade)


def test_settle__money_paused__refused(rupee, settle, trade, operator, unmoved):
    rupee.pause({"from": operator})
    with reverts("EnforcedPause: "):
        settle(trade)


def test_settle__too_little_money__units_stay(rupee, settle, trade, buyer, unmoved):
    with reverts(
        f"ERC20InsufficientBalance: {buyer.address.lower()}, {10 * PRICE}, {10 * PRICE + 1}"
    ):
        settle(trade.but(price_paisa=10 * PRICE + 1))


def test_settle__no_allowance__refused(rupee, settlement, settle, trade, buyer, unmoved):
    rupee.approve(settlement, PRICE - 1, {"from": buyer})
    values = f"{settlement.address.lower()}, {PRICE - 1}, {PRICE}"
    with reverts(f"ERC20InsufficientAllowance: {values}"):
        settle(trade)


@pytest.fixture
def bad_money(settlement, buyer):
    money = deploy_double("BadMoney")
    money.mint(buyer, 10 * PRICE, {"from": buyer})
    money.approve(settlement, MAX, {"from": buyer})
    return money


@pytest.mark.parametrize(
    "way, party, expected, found",
    [
        (TAKES_FEE, "seller", PRICE, PRICE - 1),
        (GIVES_TOO_MUCH, "seller", PRICE, PRICE + 1),
        (MOVES_NOTHING, "buyer", 9 * PRICE, 10 * PRICE),
        (KEEPS_SENDERS, "buyer", 9 * PRICE, 10 * PRICE),
    ],
)
def test_settle__money_that_moves_another_amount__refused(
    trade, settle, bad_money, stranger, request, way, party, expected, found, unmoved
):
    bad_money.behave(way, {"from": stranger})
    account = request.getfixturevalue(party)
    values = f"{bad_money.address.lower()}, {account.address.lower()}, {expected}, {found}"
    with reverts(f"SettlementInexact: {values}"):
        settle(trade.but(rupee=bad_money.address))


def test_settle__money_that_says_no__refused(trade, settle, bad_money, stranger, unmoved):
    bad_money.behave(SAYS_FALSE, {"from": stranger})
    with reverts(f"SafeERC20FailedOperation: {bad_money.address.lower()}"):
        settle(trade.but(rupee=bad_money.address))


def test_settle__money_that_settles_again_meanwhile__refused(
    settlement, trade, settle, bad_money, seller, buyer, stranger, unmoved
):
    other = trade.but(seller_nonce=1, buyer_nonce=2)
    again = settlement.settle.encode_input(*other.signed(settlement, seller, buyer))
    bad_money.replay(settlement, again, {"from": stranger})
    bad_money.behave(SETTLES_AGAIN, {"from": stranger})
    with reverts("ReentrancyGuardReentrantCall: "):
        settle(trade.but(rupee=bad_money.address))


def test_settle__well_behaved_money__settled(trade, settle, bad_money, seller):
    settle(trade.but(rupee=bad_money.address))
    assert bad_money.balanceOf(seller) == PRICE


# With a permit


@pytest.fixture
def permit_of(rupee, settlement, buyer, now):
    """Return a function that has the buyer sign the allowance, which they have not given yet."""
    rupee.approve(settlement, 0, {"from": buyer})
    deadline = now() + DAY
    return lambda value=PRICE: (
        deadline,
        *signed_permit(rupee, buyer, settlement, value, deadline),
    )


def test_settle_with_permit__signed__buyer_sends_nothing(
    settlement, trade, permit_of, seller, buyer, stranger, token, rupee
):
    signed = trade.signed(settlement, seller, buyer)
    settlement.settleWithPermit(*signed, permit_of(), {"from": stranger})
    assert (token.balanceOf(buyer), rupee.balanceOf(seller)) == (UNITS, PRICE)
    assert rupee.allowance(buyer, settlement) == 0


def test_settle_with_permit__permit_sent_first_by_somebody__settled(
    settlement, trade, permit_of, seller, buyer, stranger, token, rupee
):
    permit = permit_of()
    rupee.permit(buyer, settlement, PRICE, *permit, {"from": stranger})
    signed = trade.signed(settlement, seller, buyer)
    settlement.settleWithPermit(*signed, permit, {"from": stranger})
    assert token.balanceOf(buyer) == UNITS


def test_settle_with_permit__over_another_value__refused(
    settlement, trade, permit_of, seller, buyer, stranger, unmoved
):
    signed = trade.signed(settlement, seller, buyer)
    with reverts(f"ERC20InsufficientAllowance: {settlement.address.lower()}, 0, {PRICE}"):
        settlement.settleWithPermit(*signed, permit_of(PRICE + 1), {"from": stranger})

"""Delivery versus payment between a token of the published core and rupees."""

import itertools

import pytest
from brownie import ZERO_ADDRESS, reverts
from claims import with_other_s, with_v
from doubles import deploy_double
from eth_account.messages import _hash_eip191_message
from eth_utils import keccak
from hypothesis import settings
from hypothesis import strategies as st

# Not brownie's, which takes the chain back before each example: the model goes on.
from hypothesis.core import given
from settling import (
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
from trades import TRADE

# Settling


def test_settle__signed_by_both__both_move_at_once(
    settlement, token, rupee, trade, settle, seller, buyer
):
    transaction = settle(trade)
    assert (token.balanceOf(seller), token.balanceOf(buyer)) == (9 * UNITS, UNITS)
    assert (rupee.balanceOf(seller), rupee.balanceOf(buyer)) == (PRICE, 9 * PRICE)
    assert dict(transaction.events["Settled"][0]) == {
        "digest": "0x" + bytes(settlement.digestOf(trade.values())).hex(),
        "seller": seller,
        "buyer": buyer,
        "token": token,
        "units": UNITS,
        "rupee": rupee,
        "pricePaisa": PRICE,
    }
    assert settlement.isNonceUsed(seller, 7)
    assert settlement.isNonceUsed(buyer, 8)


def test_settle__sent_again__refused(trade, settle, seller):
    settle(trade)
    with reverts(f"SettlementNonceUsed: {seller.address.lower()}, 7"):
        settle(trade)


@pytest.mark.parametrize("party, number", [("seller", 7), ("buyer", 8)])
def test_settle__other_trade_with_a_used_number__refused(trade, settle, request, party, number):
    settle(trade)
    other = {"seller": {"buyer_nonce": 99}, "buyer": {"seller_nonce": 99}}[party]
    account = request.getfixturevalue(party)
    with reverts(f"SettlementNonceUsed: {account.address.lower()}, {number}"):
        settle(trade.but(**other))


def test_settle__same_number_of_both__each_has_its_own(trade, settle):
    settle(trade.but(seller_nonce=5, buyer_nonce=5))


@pytest.mark.parametrize("early", [0, 1])
def test_settle__up_to_the_deadline__settled(trade, settle, next_block_at, early):
    next_block_at(trade.deadline - early)
    settle(trade)


def test_settle__after_the_deadline__refused(trade, settle, next_block_at, unmoved):
    next_block_at(trade.deadline + 1)
    with reverts(f"SettlementTooLate: {trade.deadline}, {trade.deadline + 1}"):
        settle(trade)


@pytest.mark.parametrize("units, price", [(0, PRICE), (UNITS, 0), (0, 0)])
def test_settle__nothing_for_something__refused(trade, settle, unmoved, units, price):
    with reverts(f"SettlementNothing: {units}, {price}"):
        settle(trade.but(units=units, price_paisa=price))


def test_settle__with_oneself__refused(settlement, trade, seller, stranger, unmoved):
    own = trade.but(buyer=seller.address)
    with reverts(f"SettlementSameParty: {seller.address.lower()}"):
        settlement.settle(*own.signed(settlement, seller, seller), {"from": stranger})


def test_settle__token_against_itself__refused(trade, settle, token, unmoved):
    with reverts(f"SettlementSameAsset: {token.address.lower()}"):
        settle(trade.but(rupee=token.address))


# Signatures


@pytest.mark.parametrize("party", ["seller", "buyer"])
def test_settle__signed_by_another__refused(
    settlement, trade, seller, buyer, key, stranger, request, unmoved, party
):
    signers = {"seller": (key, buyer), "buyer": (seller, key)}[party]
    account = request.getfixturevalue(party)
    with reverts(f"SettlementInvalidSignature: {account.address.lower()}"):
        settlement.settle(*trade.signed(settlement, *signers), {"from": stranger})


def test_settle__signatures_swapped__refused(settlement, trade, seller, buyer, stranger, unmoved):
    with reverts(f"SettlementInvalidSignature: {seller.address.lower()}"):
        settlement.settle(*trade.signed(settlement, buyer, seller), {"from": stranger})


@pytest.mark.parametrize(
    "change",
    [
        {"units": UNITS + 1},
        {"price_paisa": PRICE - 1},
        {"deadline": 2**40},
        {"seller_nonce": 1},
        {"buyer_nonce": 1},
        {"token": "0x" + "11" * 20},
        {"rupee": "0x" + "11" * 20},
    ],
)
def test_settle__terms_changed_after_signing__refused(
    settlement, trade, seller, buyer, stranger, unmoved, change
):
    _, *signatures = trade.signed(settlement, seller, buyer)
    with reverts(f"SettlementInvalidSignature: {seller.address.lower()}"):
        settlement.settle(trade.but(**change).values(), *signatures, {"from": stranger})


def test_settle__signed_for_another_chain_or_contract__refused(
    Settlement, settlement, trade, seller, buyer, owner, stranger, unmoved
):
    twin = Settlement.deploy({"from": owner})
    for signed in (
        trade.signed(settlement, seller, buyer, chain_id=1),
        trade.signed(twin, seller, buyer),
    ):
        with reverts(f"SettlementInvalidSignature: {seller.address.lower()}"):
            settlement.settle(*signed, {"from": stranger})


def test_settle__signature_rewritten__refused(settlement, trade, seller, buyer, stranger, unmoved):
    values, by_seller, by_buyer = trade.signed(settlement, seller, buyer)
    v = by_seller[64]
    for each in (with_other_s(by_seller), with_v(by_seller, v - 27), by_seller[:64], b""):
        with reverts(f"SettlementInvalidSignature: {seller.address.lower()}"):
            settlement.settle(values, each, by_buyer, {"from": stranger})


def test_settle__no_party__refused(settlement, trade, buyer, stranger, unmoved):
    nobody = trade.but(seller=ZERO_ADDRESS)
    _, signature = nobody.signed(settlement, buyer)
    with reverts(f"SettlementInvalidSignature: {ZERO_ADDRESS}"):
        settlement.settle(nobody.values(), b"\0" * 65, signature, {"from": stranger})


# Contract wallets


@pytest.fixture(scope="module")
def vault(enrol, token, rupee, operator, settlement, buyer):
    """A contract wallet of the buyer's key, with money of its own."""
    wallet = deploy_double("ContractWallet", buyer)
    enrol(wallet)
    rupee.mint(wallet, PRICE, {"from": operator})
    allow = rupee.approve.encode_input(settlement, PRICE)
    wallet.call(rupee, allow, {"from": buyer})
    return wallet


def test_settle__contract_wallet_buys__by_erc1271(
    settlement, trade, vault, token, seller, buyer, stranger
):
    bought = trade.but(buyer=vault.address)
    settlement.settle(*bought.signed(settlement, seller, buyer), {"from": stranger})
    assert token.balanceOf(vault) == UNITS
    assert settlement.isNonceUsed(vault, 8)
    assert not settlement.isNonceUsed(buyer, 8), "the wallet's number, not the key's"


def test_settle__contract_wallet_refuses__refused(
    settlement, trade, vault, seller, buyer, stranger, unmoved
):
    vault.setRefuses(True, {"from": stranger})
    bought = trade.but(buyer=vault.address)
    with reverts(f"SettlementInvalidSignature: {vault.address.lower()}"):
        settlement.settle(*bought.signed(settlement, seller, buyer), {"from": stranger})


def test_settle__contract_that_is_no_wallet__refused(
    settlement, trade, token, seller, buyer, stranger, unmoved
):
    bought = trade.but(buyer=token.address)
    with reverts(f"SettlementInvalidSignature: {token.address.lower()}"):
        settlement.settle(*bought.signed(settlement, seller, buyer), {"from": stranger})


# Cancelling


@pytest.mark.parametrize("party, number", [("seller", 7), ("buyer", 8)])
def test_cancel__by_either_party__never_settled(
    settlement, trade, settle, request, party, number, token, buyer
):
    account = request.getfixturevalue(party)
    transaction = settlement.cancel(number, {"from": account})
    assert dict(transaction.events["NonceCancelled"][0]) == {"party": account, "nonce": number}
    with reverts(f"SettlementNonceUsed: {account.address.lower()}, {number}"):
        settle(trade)
    assert token.balanceOf(buyer) == 0


def test_cancel__by_somebody_else__does_not_touch_it(
    settlement, trade, settle, stranger, token, buyer
):
    settlement.cancel(7, {"from": stranger})
    settlement.cancel(8, {"from": stranger})
    settle(trade)
    assert token.balanceOf(buyer) == UNITS


def test_cancel__used_or_cancelled__refused(settlement, trade, settle, seller, buyer):
    settle(trade)
    settlement.cancel(100, {"from": buyer})
    for account, number in ((seller, 7), (buyer, 8), (buyer, 100)):
        with reverts(f"SettlementNonceUsed: {account.address.lower()}, {number}"):
            settlement.cancel(number, {"from": account})


# Digest and numbers


def test_digest__read__is_eip712_hash(settlement, trade):
    expected = _hash_eip191_message(trade.message(settlement))
    assert bytes(settlement.digestOf(trade.values())) == expected
    fields = ",".join(f"{field['type']} {field['name']}" for field in TRADE["Trade"])
    assert bytes(settlement.TRADE_TYPEHASH()) == keccak(text=f"Trade({fields})")


_EXAMPLES = itertools.count(1)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["settle", "settle", "cancel of seller", "cancel of buyer"]),
        st.integers(1, 3),
        st.integers(1, 3),
        st.integers(1, 3),
    ),
    max_size=6,
)


@settings(max_examples=20)
@given(steps=STEPS)
def test_settlement__any_sequence__conserves_and_uses_each_number_once(
    settlement, trade, token, rupee, seller, buyer, stranger, suite, operator, steps
):
    """Held against a model that goes on from example to example, with fresh numbers in each."""
    base = 1_000 * next(_EXAMPLES)
    used = set()
    for act, of_seller, of_buyer, units in steps:
        numbers = {("seller", base + of_seller), ("buyer", base + of_buyer)}
        before = [asset.balanceOf(who) for asset in (token, rupee) for who in (seller, buyer)]
        if act == "settle":
            offered = trade.but(
                units=units,
                price_paisa=units * 10,
                seller_nonce=base + of_seller,
                buyer_nonce=base + of_buyer,
            )
            moves = units if not numbers & used else 0
            call = (*offered.signed(settlement, seller, buyer), {"from": stranger})
            if moves:
                settlement.settle(*call)
                used |= numbers
            else:
                with reverts():
                    settlement.settle(*call)
        else:
            moves = 0
            party, account, number = {
                "cancel of seller": ("seller", seller, base + of_seller),
                "cancel of buyer": ("buyer", buyer, base + of_buyer),
            }[act]
            if (party, number) in used:
                with reverts():
                    settlement.cancel(number, {"from": account})
            else:
                settlement.cancel(number, {"from": account})
                used.add((party, number))
        after = [asset.balanceOf(who) for asset in (token, rupee) for who in (seller, buyer)]
        paid = moves * 10
        assert after == [before[0] - moves, before[1] + moves, before[2] + paid, before[3] - paid]
        assert token.balanceOf(settlement) == rupee.balanceOf(settlement) == 0

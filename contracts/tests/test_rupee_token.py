"""The money of the embedded chain."""

import pytest
from brownie import ZERO_ADDRESS, reverts
from claims import DAY
from eth_account import Account
from eth_account.messages import encode_typed_data

PERMIT = {
    "Permit": [
        {"name": "owner", "type": "address"},
        {"name": "spender", "type": "address"},
        {"name": "value", "type": "uint256"},
        {"name": "nonce", "type": "uint256"},
        {"name": "deadline", "type": "uint256"},
    ]
}


def signed_permit(rupee, holder, spender, value, deadline, *, nonce=0, chain_id=31_337):
    domain = {
        "name": "Pakistani rupee",
        "version": "1",
        "chainId": chain_id,
        "verifyingContract": rupee.address,
    }
    message = {
        "owner": holder.address,
        "spender": str(spender),
        "value": value,
        "nonce": nonce,
        "deadline": deadline,
    }
    signed = Account.sign_message(encode_typed_data(domain, PERMIT, message), holder.private_key)
    return signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big")


@pytest.fixture(scope="module")
def rupee(RupeeToken, owner, operator):
    return RupeeToken.deploy(owner, [operator], {"from": owner})


@pytest.fixture
def funded(rupee, operator, key):
    """The key's account holds a hundred rupees."""
    rupee.mint(key, 10_000, {"from": operator})
    return rupee


def test_metadata__read__paisa(rupee):
    assert (rupee.name(), rupee.symbol(), rupee.decimals()) == ("Pakistani rupee", "PKR", 2)
    assert rupee.totalSupply() == 0


def test_mint__by_operator__created(rupee, operator, stranger):
    transaction = rupee.mint(stranger, 250, {"from": operator})
    assert (rupee.balanceOf(stranger), rupee.totalSupply()) == (250, 250)
    assert dict(transaction.events["Transfer"][0]) == {
        "from": ZERO_ADDRESS,
        "to": stranger,
        "value": 250,
    }


def test_burn__by_operator__own_only(rupee, operator, stranger):
    rupee.mint(operator, 250, {"from": operator})
    rupee.mint(stranger, 250, {"from": operator})
    rupee.burn(200, {"from": operator})
    assert (rupee.balanceOf(operator), rupee.totalSupply()) == (50, 300)
    with reverts(f"ERC20InsufficientBalance: {operator.address.lower()}, 50, 51"):
        rupee.burn(51, {"from": operator})
    assert rupee.balanceOf(stranger) == 250


@pytest.mark.parametrize("who", ["owner", "stranger"])
def test_rupee__others_than_operators__refused(rupee, request, who):
    account = request.getfixturevalue(who)
    for call in (
        lambda: rupee.mint(account, 1, {"from": account}),
        lambda: rupee.burn(0, {"from": account}),
        lambda: rupee.pause({"from": account}),
        lambda: rupee.unpause({"from": account}),
    ):
        with reverts(f"OperatedUnauthorizedOperator: {account.address.lower()}"):
            call()


def test_pause__by_operator__nothing_moves_until_unpaused(funded, operator, key, stranger):
    assert funded.pause({"from": operator}).events["Paused"]["account"] == operator
    for call in (
        lambda: funded.transfer(stranger, 1, {"from": key}),
        lambda: funded.mint(stranger, 1, {"from": operator}),
        lambda: funded.burn(0, {"from": operator}),
        lambda: funded.pause({"from": operator}),
    ):
        with reverts("EnforcedPause: "):
            call()
    assert funded.unpause({"from": operator}).events["Unpaused"]["account"] == operator
    funded.transfer(stranger, 1, {"from": key})
    with reverts("ExpectedPause: "):
        funded.unpause({"from": operator})


def test_permit__signed_by_holder__allowance_without_gas(funded, key, stranger, now):
    deadline = now() + DAY
    v, r, s = signed_permit(funded, key, stranger, 70, deadline)
    funded.permit(key, stranger, 70, deadline, v, r, s, {"from": stranger})
    assert (funded.allowance(key, stranger), funded.nonces(key)) == (70, 1)
    funded.transferFrom(key, stranger, 70, {"from": stranger})
    with reverts():
        funded.permit(key, stranger, 70, deadline, v, r, s, {"from": stranger})


def test_permit__late_or_for_another_chain__refused(funded, key, stranger, now):
    late = now() - 1
    v, r, s = signed_permit(funded, key, stranger, 70, late)
    with reverts(f"ERC2612ExpiredSignature: {late}"):
        funded.permit(key, stranger, 70, late, v, r, s, {"from": stranger})
    deadline = now() + DAY
    v, r, s = signed_permit(funded, key, stranger, 70, deadline, chain_id=1)
    with reverts():
        funded.permit(key, stranger, 70, deadline, v, r, s, {"from": stranger})
    assert funded.allowance(key, stranger) == 0

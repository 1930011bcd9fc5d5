"""Fixtures of a trade: a verified seller and buyer, what each has and allows, and the terms."""

import pytest
from claims import DAY, IssuedClaim, signed_batch
from eth_utils import keccak
from one_token import PAKISTAN, OneToken
from trades import Trade

UNITS, PRICE = 100, 5_000_000
MAX = 2**256 - 1


@pytest.fixture(scope="module")
def settlement(Settlement, owner):
    return Settlement.deploy({"from": owner})


@pytest.fixture(scope="module")
def seller(accounts):
    return accounts.add("0x" + "51" * 32)


@pytest.fixture(scope="module")
def buyer(accounts):
    return accounts.add("0x" + "b1" * 32)


@pytest.fixture(scope="module")
def rupee(RupeeToken, owner, operator, settlement, buyer):
    """The buyer has the price ten times, and allows the settlement to take it."""
    rupee = RupeeToken.deploy(owner, [operator], {"from": owner})
    rupee.mint(buyer, 10 * PRICE, {"from": operator})
    rupee.approve(settlement, MAX, {"from": buyer})
    return rupee


@pytest.fixture(scope="module")
def enrol(desk, suite, factory, issuer, key, operator, now):
    """Return a function that makes a wallet's owner a verified holder."""

    def call(wallet):
        salt = keccak(text=str(wallet))
        claim = IssuedClaim(factory.identityOf(salt), now(), now() + 365 * DAY)
        batch = signed_batch(issuer, key, claim)
        desk.enrol(suite.registry, [(salt, wallet, PAKISTAN)], *batch, {"from": operator})

    return call


@pytest.fixture(scope="module")
def suite(owner, issuer, desk):
    return OneToken.deploy(owner, issuer, desk)


@pytest.fixture(scope="module")
def token(suite, enrol, settlement, seller, buyer):
    """The seller holds the units ten times, and allows the settlement to take them."""
    enrol(seller)
    enrol(buyer)
    suite.mint(seller, 10 * UNITS)
    suite.token.approve(settlement, MAX, {"from": seller})
    return suite.token


@pytest.fixture(scope="module")
def trade(token, rupee, seller, buyer, now):
    return Trade(
        token=token.address,
        seller=seller.address,
        units=UNITS,
        rupee=rupee.address,
        buyer=buyer.address,
        price_paisa=PRICE,
        seller_nonce=7,
        buyer_nonce=8,
        deadline=now() + DAY,
    )


@pytest.fixture
def settle(settlement, seller, buyer, stranger):
    """Return a function that has a trade signed by both, and settled by a stranger."""
    return lambda trade: settlement.settle(
        *trade.signed(settlement, seller, buyer), {"from": stranger}
    )


@pytest.fixture
def unmoved(token, rupee, seller, buyer, settlement):
    """Assert at the end that nothing moved and no number was used up."""

    def holdings():
        return [asset.balanceOf(who) for asset in (token, rupee) for who in (seller, buyer)]

    before = holdings()
    yield
    assert holdings() == before
    assert not settlement.isNonceUsed(seller, 7)
    assert not settlement.isNonceUsed(buyer, 8)

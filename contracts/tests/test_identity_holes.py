"""The known holes of the published suite that concern identities: shown, then shown closed.

Each test first does to a token of the published core what a thief would do, where that works, and
then the same to a token whose registry only the desk writes.
"""

import pytest
from brownie import Contract, HolderIdentity, reverts
from claims import (
    DAY,
    KYC_TOPIC,
    IssuedClaim,
    claim_data,
    signed_batch,
    signed_claim,
    with_other_s,
    with_v,
)
from doubles import deploy_double
from eth_abi import encode
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils import keccak
from one_token import PAKISTAN, OneToken
from published import deploy_published

ALICE = keccak(text="alice")
ECDSA, CLAIM_PURPOSE = 1, 3


def key_of(wallet):
    return keccak(encode(["address"], [str(wallet)]))


@pytest.fixture(scope="module")
def thief(accounts):
    return accounts[4]


@pytest.fixture(scope="module")
def wallet(accounts):
    return accounts[1]


@pytest.fixture(scope="module")
def guarded(owner, issuer, desk):
    """A token as we deploy it: only the desk registers."""
    return OneToken.deploy(owner, issuer, desk)


@pytest.fixture(scope="module")
def unguarded(owner, issuer):
    """A token as it is usually deployed: a key of the platform registers."""
    return OneToken.deploy(owner, issuer, owner)


@pytest.fixture
def kyc(factory, now):
    return IssuedClaim(factory.identityOf(ALICE), now(), now() + DAY)


@pytest.fixture
def alice(desk, guarded, issuer, key, operator, factory, wallet, kyc):
    """A verified holder of ten units."""
    batch = signed_batch(issuer, key, kyc)
    desk.enrol(guarded.registry, [(ALICE, wallet, PAKISTAN)], *batch, {"from": operator})
    guarded.mint(wallet, 10)
    return Contract.from_abi("HolderIdentity", factory.identityOf(ALICE), HolderIdentity.abi)


# A forged identity


def test_forged_identity__names_itself__works_only_where_a_key_registers(
    unguarded, guarded, desk, factory, owner, operator, thief
):
    forged = deploy_double("ForgedIdentity", KYC_TOPIC)
    unguarded.registry.registerIdentity(thief, forged, PAKISTAN, {"from": owner})
    assert unguarded.registry.isVerified(thief), "the hole: no trusted issuer said anything"
    unguarded.mint(thief, 5)

    for who in (owner, operator, thief):
        with reverts("AgentRole: caller does not have the Agent role"):
            guarded.registry.registerIdentity(thief, forged, PAKISTAN, {"from": who})
    with reverts():
        desk.register(guarded.registry, [thief], [PAKISTAN], {"from": operator})
    # All that a stolen operator key can do: an honest identity, without any claim.
    factory.open(keccak(text="thief"), thief, {"from": operator})
    desk.register(guarded.registry, [thief], [PAKISTAN], {"from": operator})
    assert guarded.registry.identity(thief) != forged
    assert not guarded.registry.isVerified(thief)
    with reverts("Identity is not verified."):
        guarded.mint(thief, 5)


def test_forged_identity__as_published_identity__unknown_to_its_factory(
    guarded, desk, owner, operator, thief
):
    """A token that accepts published identities accepts those of one factory, not any contract."""
    identity = deploy_published("Identity", owner, owner.address, True)
    authority = deploy_published("ImplementationAuthority", owner, identity.address)
    ids = deploy_published("IdFactory", owner, authority.address)
    desk.setPublishedFactory(guarded.registry, ids, {"from": owner})
    with reverts():
        desk.register(guarded.registry, [thief], [PAKISTAN], {"from": operator})


def test_borrowed_claim__of_a_verified_person__void_for_another(
    unguarded, owner, alice, issuer, thief
):
    """An identity that hands on somebody else's claim is not believed, even where it is registered."""
    borrowed = deploy_double("BorrowedIdentity", alice)
    topic, _, by, signature, data, _ = borrowed.getClaim(
        keccak(encode(["address", "uint256"], [issuer.address, KYC_TOPIC]))
    )
    assert (topic, by) == (KYC_TOPIC, issuer)
    assert issuer.isClaimValid(alice, topic, signature, data)
    unguarded.registry.registerIdentity(thief, borrowed, PAKISTAN, {"from": owner})
    assert not unguarded.registry.isVerified(thief)


# A revoked claim


def test_revocation__at_published_issuer__evaded_by_rewriting_the_signature(owner, key, wallet):
    """The hole itself, at the published issuer and identity."""
    issuer = deploy_published("ClaimIssuer", owner, owner.address)
    issuer.addKey(key_of(key), CLAIM_PURPOSE, ECDSA, {"from": owner})
    token = OneToken.deploy(owner, issuer, owner)
    identity = deploy_published("Identity", owner, wallet.address, False)
    token.registry.registerIdentity(wallet, identity, PAKISTAN, {"from": owner})
    digest = keccak(encode(["address", "uint256", "bytes"], [identity.address, KYC_TOPIC, b"kyc"]))
    signature = Account.sign_message(encode_defunct(primitive=digest), key.private_key).signature
    claim = (KYC_TOPIC, ECDSA, issuer, bytes(signature), b"kyc", "")
    identity.addClaim(*claim, {"from": wallet})
    issuer.revokeClaimBySignature(bytes(signature), {"from": owner})
    assert not token.registry.isVerified(wallet)
    rewritten = with_v(bytes(signature), signature[64] - 27)
    identity.addClaim(KYC_TOPIC, ECDSA, issuer, rewritten, b"kyc", "", {"from": wallet})
    assert token.registry.isVerified(wallet), "the hole: revoked, and verified again"


def test_revocation__of_our_claim__lasts_whatever_the_holder_does(
    guarded, alice, issuer, key, wallet, kyc, stranger
):
    batch = signed_batch(issuer, key, kyc)
    issuer.revoke(alice, KYC_TOPIC, {"from": key})
    assert not guarded.registry.isVerified(wallet)

    claims, signature = batch
    v = signature[64]
    for each in (signature, with_other_s(signature), with_v(signature, v - 27)):
        for sender in (wallet, stranger):
            with reverts():
                issuer.issue(claims, each, {"from": sender})
    add_claim = "0x" + keccak(text="addClaim(uint256,uint256,address,bytes,bytes,string)")[:4].hex()
    with reverts():
        wallet.transfer(alice, data=add_claim + "00" * 256)
    assert not guarded.registry.isVerified(wallet)
    with reverts("Identity is not verified."):
        guarded.mint(wallet, 1)


def test_revocation__of_signed_claim_on_published_identity__lasts(
    unguarded, issuer, owner, key, wallet, now, mine_at
):
    identity = deploy_published("Identity", owner, wallet.address, False)
    unguarded.registry.registerIdentity(wallet, identity, PAKISTAN, {"from": owner})
    claim = signed_claim(issuer, key, identity.address, claim_data(now(), now() + DAY))

    def add(signature, sender=wallet):
        added = (KYC_TOPIC, ECDSA, issuer, signature, claim.data, "")
        identity.addClaim(*added, {"from": sender})

    add(claim.signature)
    assert unguarded.registry.isVerified(wallet)
    issuer.revoke(identity, KYC_TOPIC, {"from": key})
    v = claim.signature[64]
    rewritten = (claim.signature, with_other_s(claim.signature), with_v(claim.signature, v - 27))
    for each in (*rewritten, b""):
        with reverts("invalid claim"):
            add(each)
    assert not unguarded.registry.isVerified(wallet)


def test_key_stolen__claims_it_issued__all_void_at_once(
    guarded,
    alice,
    desk,
    issuer,
    owner,
    key,
    new_key,
    operator,
    wallet,
    thief,
    factory,
    now,
    mine_at,
):
    """The good claims of the stolen key fall too, and are issued again by the next key."""
    salt = keccak(text="thief")
    forged = IssuedClaim(factory.identityOf(salt), now(), now() + DAY)
    batch = signed_batch(issuer, key, forged)
    desk.enrol(guarded.registry, [(salt, thief, PAKISTAN)], *batch, {"from": operator})
    assert guarded.registry.isVerified(thief)

    issuer.addSigningKey(new_key, {"from": owner})
    issuer.removeSigningKey(key, {"from": owner})
    assert not guarded.registry.isVerified(thief)
    assert not guarded.registry.isVerified(wallet)
    mine_at(now() + 10)
    again = IssuedClaim(alice.address, now(), now() + DAY)
    issuer.issue(*signed_batch(issuer, new_key, again), {"from": thief})
    assert guarded.registry.isVerified(wallet)
    assert not guarded.registry.isVerified(thief)


def test_kyc__runs_out__receives_no_more(guarded, alice, wallet, kyc, mine_at):
    mine_at(kyc.expires_at)
    assert not guarded.registry.isVerified(wallet)
    with reverts("Identity is not verified."):
        guarded.mint(wallet, 1)


def test_issuer_broken__dismissed__nobody_is_verified_by_it(
    guarded, alice, store, issuer, owner, wallet
):
    store.dismiss(issuer, KYC_TOPIC, {"from": owner})
    assert not guarded.registry.isVerified(wallet)
    store.admit(issuer, KYC_TOPIC, {"from": owner})
    assert guarded.registry.isVerified(wallet)


# Recovery


@pytest.fixture
def new_wallet(factory, operator, accounts, alice):
    """Alice's next wallet: linked after her old one was lost."""
    factory.open(ALICE, accounts[2], {"from": operator})
    return accounts[2]


def test_recovery__one_token__published_recovery_works(
    guarded, alice, factory, operator, owner, wallet, new_wallet
):
    guarded.token.freezePartialTokens(wallet, 3, {"from": owner})
    guarded.token.recoveryAddress(wallet, new_wallet, alice, {"from": owner})
    assert (guarded.balance(wallet), guarded.balance(new_wallet)) == (0, 10)
    assert guarded.token.getFrozenTokens(new_wallet) == 3
    assert guarded.registry.identity(new_wallet) == alice
    assert not guarded.registry.contains(wallet)
    factory.retire(wallet, {"from": operator})
    with reverts():
        factory.open(keccak(text="thief"), wallet, {"from": operator})


def test_recovery__to_a_wallet_that_is_not_theirs__refused(guarded, alice, owner, wallet, thief):
    with reverts("Recovery not possible"):
        guarded.token.recoveryAddress(wallet, thief, alice, {"from": owner})


def test_recovery__to_a_retired_wallet__refused(
    guarded, alice, factory, operator, owner, wallet, new_wallet
):
    factory.retire(new_wallet, {"from": operator})
    with reverts("Recovery not possible"):
        guarded.token.recoveryAddress(wallet, new_wallet, alice, {"from": owner})


def test_recovery__two_tokens_on_one_storage__second_goes_by_forced_transfer(
    guarded, desk, issuer, owner, operator, alice, wallet, new_wallet
):
    """The hole: the published recovery of the second token reverts, its lost wallet unregistered.

    Contained: the new wallet is verified for both, since both read one storage and one identity,
    so the units of the second follow by a forced transfer, and what was frozen is frozen again.
    """
    second = OneToken.deploy(owner, issuer, desk, storage=guarded.storage)
    second.mint(wallet, 7)
    second.token.freezePartialTokens(wallet, 4, {"from": owner})
    guarded.token.recoveryAddress(wallet, new_wallet, alice, {"from": owner})
    with reverts("address stored already"):
        second.token.recoveryAddress(wallet, new_wallet, alice, {"from": owner})

    assert second.registry.isVerified(new_wallet)
    second.token.forcedTransfer(wallet, new_wallet, 7, {"from": owner})
    second.token.freezePartialTokens(new_wallet, 4, {"from": owner})
    assert (second.balance(wallet), second.balance(new_wallet)) == (0, 7)
    assert second.token.getFrozenTokens(new_wallet) == 4
    assert second.token.getFrozenTokens(wallet) == 0
    assert second.token.totalSupply() == 7


def test_recovery__two_tokens_on_one_storage__case_agent_recovers_both(
    CaseAgent, guarded, desk, issuer, owner, operator, factory, alice, wallet, new_wallet
):
    """Closed: the agent takes our identity's word for the new wallet, and moves the second itself."""
    second = OneToken.deploy(owner, issuer, desk, storage=guarded.storage)
    second.mint(wallet, 7)
    agent = CaseAgent.deploy(owner, 0, [owner], [owner], [owner], {"from": owner})
    case = keccak(text="lost key of Alice")
    for number, suite in enumerate((guarded, second)):
        suite.token.addAgent(agent, {"from": owner})
        suite.token.freezePartialTokens(wallet, 2, {"from": owner})
        agent.recover(case, number, suite.token, wallet, new_wallet, alice, {"from": owner})
    factory.retire(wallet, {"from": operator})

    for suite, units in ((guarded, 10), (second, 7)):
        assert (suite.balance(wallet), suite.balance(new_wallet)) == (0, units)
        assert suite.token.getFrozenTokens(new_wallet) == 2
        assert suite.registry.isVerified(new_wallet)
        assert not suite.registry.contains(wallet)

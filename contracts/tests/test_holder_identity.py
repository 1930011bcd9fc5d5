"""What an identity answers, and that nothing can be done to it."""

import pytest
from brownie import Contract, HolderIdentity, ZERO_ADDRESS, reverts, web3
from claims import DAY, KYC_TOPIC, IssuedClaim, signed_batch
from eth_abi import encode
from eth_utils import function_signature_to_4byte_selector, keccak
from published import artifact

ALICE = keccak(text="alice")
MANAGEMENT, ACTION, CLAIM, ENCRYPTION = 1, 2, 3, 4
NOTHING = (0, 0, ZERO_ADDRESS, "0x", "0x", "")
NO_KEY = ((), 0, "0x" + "00" * 32)


def key_of(wallet):
    return keccak(encode(["address"], [str(wallet)]))


def claim_id(issuer, topic=KYC_TOPIC):
    return keccak(encode(["address", "uint256"], [str(issuer), topic]))


@pytest.fixture(scope="module")
def wallet(accounts):
    return accounts[1]


@pytest.fixture(scope="module")
def alice(factory, operator, wallet):
    return Contract.from_abi(
        "HolderIdentity",
        factory.open(ALICE, wallet, {"from": operator}).return_value,
        HolderIdentity.abi,
    )


@pytest.fixture
def kyc(issuer, key, alice, stranger, now):
    claim = IssuedClaim(alice.address, now(), now() + DAY)
    issuer.issue(*signed_batch(issuer, key, claim), {"from": stranger})
    return claim


# Claims


def test_get_claim__issued__as_written(alice, issuer, kyc):
    topic, scheme, by, signature, data, uri = alice.getClaim(claim_id(issuer))
    assert (topic, scheme, by, str(signature), uri) == (KYC_TOPIC, 3, issuer, "0x", "")
    assert bytes(data) == kyc.data()
    assert issuer.isClaimValid(alice, topic, signature, data)


def test_get_claim__bytes_of_the_answer__as_the_published_identity_encodes(alice, issuer, kyc):
    """The answer is handed on undecoded, so its encoding is looked at here."""
    asked = alice.getClaim.encode_input(claim_id(issuer))
    answer = web3.eth.call({"to": alice.address, "data": asked})
    types = ["uint256", "uint256", "address", "bytes", "bytes", "string"]
    assert answer == encode(types, [KYC_TOPIC, 3, issuer.address, b"", kyc.data(), ""])


def test_get_claim__none__empty(alice, issuer):
    assert tuple(alice.getClaim(claim_id(issuer))) == NOTHING
    assert tuple(alice.getClaim(bytes(32))) == NOTHING


def test_get_claim__revoked__given_but_void(alice, issuer, key, kyc):
    issuer.revoke(alice, KYC_TOPIC, {"from": key})
    topic, _, _, signature, data, _ = alice.getClaim(claim_id(issuer))
    assert topic == KYC_TOPIC
    assert not issuer.isClaimValid(alice, topic, signature, data)


def test_get_claim_ids_by_topic__issued__its_id(alice, issuer, kyc):
    found = alice.getClaimIdsByTopic(KYC_TOPIC)
    assert [bytes(each) for each in found] == [claim_id(issuer)]
    assert len(alice.getClaimIdsByTopic(KYC_TOPIC + 1)) == 0


def test_get_claim__of_another_identity__not_given(alice, factory, operator, issuer, kyc, accounts):
    other = factory.open(keccak(text="bob"), accounts[2], {"from": operator}).return_value
    bob = Contract.from_abi("HolderIdentity", other, HolderIdentity.abi)
    assert tuple(bob.getClaim(claim_id(issuer))) == NOTHING


def test_is_claim_valid__anything__never_issued_by_a_person(alice, issuer, kyc):
    assert not alice.isClaimValid(alice, KYC_TOPIC, b"", kyc.data())
    assert not alice.isClaimValid(alice, KYC_TOPIC, b"\x01" * 65, kyc.data())


# Keys


@pytest.mark.parametrize(
    "purpose, has",
    [(0, False), (MANAGEMENT, True), (ACTION, True), (CLAIM, False), (ENCRYPTION, False)],
)
def test_key_has_purpose__wallet__manages_and_acts_only(alice, wallet, purpose, has):
    assert alice.keyHasPurpose(key_of(wallet), purpose) is has


def test_key_has_purpose__others__none(alice, owner, operator, stranger, factory, accounts):
    factory.open(keccak(text="bob"), accounts[2], {"from": operator})
    for other in (owner, operator, stranger, accounts[2], factory, alice):
        assert not alice.keyHasPurpose(key_of(other), MANAGEMENT)
    assert not alice.keyHasPurpose(bytes(32), MANAGEMENT)


def test_key_has_purpose__retired_wallet__none_until_restored(
    alice, factory, owner, operator, wallet
):
    factory.retire(wallet, {"from": operator})
    assert not alice.keyHasPurpose(key_of(wallet), MANAGEMENT)
    assert tuple(alice.getKey(key_of(wallet))) == NO_KEY
    factory.restore(wallet, {"from": owner})
    assert alice.keyHasPurpose(key_of(wallet), MANAGEMENT)


def test_get_key__wallet__described(alice, wallet, stranger):
    purposes, kind, key = alice.getKey(key_of(wallet))
    assert (tuple(purposes), kind, bytes(key)) == ((MANAGEMENT,), 1, key_of(wallet))
    assert tuple(alice.getKeyPurposes(key_of(wallet))) == (MANAGEMENT,)
    assert tuple(alice.getKey(key_of(stranger))) == NO_KEY
    assert len(alice.getKeyPurposes(key_of(stranger))) == 0
    constants = (alice.MANAGEMENT(), alice.ACTION(), alice.KEY_TYPE_ECDSA())
    assert constants == (MANAGEMENT, ACTION, 1)


def test_constructor__clone__knows_factory_and_store(alice, factory, store):
    assert (alice.LINKS(), alice.STORE()) == (factory, store)


# Everything else


@pytest.mark.parametrize(
    "signature",
    [
        "addClaim(uint256,uint256,address,bytes,bytes,string)",
        "removeClaim(bytes32)",
        "addKey(bytes32,uint256,uint256)",
        "removeKey(bytes32,uint256)",
        "execute(address,uint256,bytes)",
        "approve(uint256,bool)",
        "getKeysByPurpose(uint256)",
        "initialize(address)",
    ],
)
def test_call__what_would_change_it__refused_for_everybody(
    alice, wallet, owner, operator, key, signature
):
    selector = function_signature_to_4byte_selector(signature)
    for sender in (wallet, owner, operator, key):
        with reverts(f"HolderIdentityUnsupported: {selector}"):
            sender.transfer(alice, data="0x" + selector.hex() + "00" * 224)


def test_transfer__ether__refused(alice, wallet):
    with reverts():
        wallet.transfer(alice, 1)


def test_interface__published_views__same_selectors_and_answers():
    """What a published registry, token or agent manager reads of an identity, it reads here too."""

    def views(abi):
        return {
            (
                entry["name"],
                tuple(item["type"] for item in entry["inputs"]),
                tuple(item["type"] for item in entry["outputs"]),
            )
            for entry in abi
            if entry["type"] == "function" and entry["stateMutability"] in {"view", "pure"}
        }

    published = views(artifact("Identity")["abi"])
    missing = {name for name, _, _ in published - views(HolderIdentity.abi)}
    # Wallets are listed by the factory's events; nobody's signature is revoked here.
    assert missing == {"getKeysByPurpose", "getRecoveredAddress", "version"}, missing

"""Our issuer under the published ONCHAINID and ERC-3643 contracts, and as it is deployed."""

import json

import pytest
from brownie import ClaimIssuer, reverts
from brownie.convert import to_bytes
from claims import DAY, KYC_TOPIC, claim_data, signed_claim, with_other_s, with_v
from eth_abi import encode
from eth_utils import function_signature_to_4byte_selector, keccak
from published import ONCHAINID, deploy_published

PAKISTAN = 586
SCHEME_ECDSA = 1


def add_claim(identity, issuer, claim, sender):
    return identity.addClaim(
        claim.topic,
        SCHEME_ECDSA,
        issuer,
        claim.signature,
        claim.data,
        "",
        {"from": sender},
    )


def claim_id(issuer, topic=KYC_TOPIC):
    return keccak(encode(["address", "uint256"], [issuer.address, topic]))


@pytest.fixture(scope="module")
def onchainid(owner):
    return deploy_published("Identity", owner, owner.address, False)


@pytest.fixture(scope="module")
def registry(owner, issuer, onchainid, stranger):
    """An identity registry that wants a KYC claim of our issuer; the stranger is registered."""
    topics, issuers, storage, registry = (
        deploy_published(name, owner)
        for name in (
            "ClaimTopicsRegistry",
            "TrustedIssuersRegistry",
            "IdentityRegistryStorage",
            "IdentityRegistry",
        )
    )
    for contract in (topics, issuers, storage):
        contract.init({"from": owner})
    registry.init(issuers, topics, storage, {"from": owner})
    topics.addClaimTopic(KYC_TOPIC, {"from": owner})
    issuers.addTrustedIssuer(issuer, [KYC_TOPIC], {"from": owner})
    storage.bindIdentityRegistry(registry, {"from": owner})
    registry.addAgent(owner, {"from": owner})
    registry.registerIdentity(stranger, onchainid, PAKISTAN, {"from": owner})
    return registry


@pytest.fixture
def kyc(issuer, key, onchainid, now):
    return signed_claim(issuer, key, onchainid.address, claim_data(now(), now() + DAY))


def test_is_claim_valid__selector__is_that_of_published_interface():
    published = json.loads((ONCHAINID / "interface/IClaimIssuer.sol/IClaimIssuer.json").read_text())
    entry = next(item for item in published["abi"] if item.get("name") == "isClaimValid")
    signature = f"isClaimValid({','.join(item['type'] for item in entry['inputs'])})"
    selector = function_signature_to_4byte_selector(signature)
    assert to_bytes(ClaimIssuer.signatures["isClaimValid"], "bytes4") == selector
    assert [item["type"] for item in entry["outputs"]] == ["bool"]


def test_add_claim__valid__stored(issuer, onchainid, owner, kyc):
    transaction = add_claim(onchainid, issuer, kyc, owner)
    assert transaction.events["ClaimAdded"]["issuer"] == issuer
    topic, scheme, by, signature, data, _uri = onchainid.getClaim(claim_id(issuer))
    assert (topic, scheme, by) == (KYC_TOPIC, SCHEME_ECDSA, issuer)
    assert (bytes(signature), bytes(data)) == (kyc.signature, kyc.data)


def test_add_claim__of_other_identity__refused(issuer, onchainid, owner, claim):
    with reverts("invalid claim"):
        add_claim(onchainid, issuer, claim, owner)


def test_add_claim__malformed__refused_by_identity_not_by_issuer(issuer, onchainid, owner, kyc):
    for spoiled in (kyc.but(signature=b""), kyc.but(data=b""), kyc.but(data=b"\xff" * 96)):
        with reverts("invalid claim"):
            add_claim(onchainid, issuer, spoiled, owner)


def test_add_claim__after_revocation__only_re_issued_accepted(
    issuer, key, onchainid, owner, kyc, now, mine_at
):
    add_claim(onchainid, issuer, kyc, owner)
    issuer.revoke(onchainid, KYC_TOPIC, {"from": key})
    v = kyc.signature[64]
    for signature in (
        kyc.signature,
        with_v(kyc.signature, v - 27),
        with_other_s(kyc.signature),
    ):
        with reverts("invalid claim"):
            add_claim(onchainid, issuer, kyc.but(signature=signature), owner)
    issued_at = now() + 1
    mine_at(issued_at)
    data = claim_data(issued_at, issued_at + DAY)
    renewed = signed_claim(issuer, key, onchainid.address, data)
    transaction = add_claim(onchainid, issuer, renewed, owner)
    assert "ClaimChanged" in transaction.events


def test_is_verified__claim_through_its_life__follows_issuer(
    registry, issuer, key, onchainid, owner, stranger, kyc, now, mine_at
):
    assert not registry.isVerified(stranger)
    add_claim(onchainid, issuer, kyc, owner)
    assert registry.isVerified(stranger)
    issuer.revoke(onchainid, KYC_TOPIC, {"from": key})
    assert not registry.isVerified(stranger)
    issued_at = now() + 1
    mine_at(issued_at)
    data = claim_data(issued_at, issued_at + DAY)
    add_claim(onchainid, issuer, signed_claim(issuer, key, onchainid.address, data), owner)
    assert registry.isVerified(stranger)
    mine_at(issued_at + DAY)
    assert not registry.isVerified(stranger), "expired by itself"

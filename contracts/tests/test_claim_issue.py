"""Claims that the issuer writes into the store under the signature of a key."""

import pytest
from brownie import ZERO_ADDRESS, reverts
from claims import (
    BATCH_TYPE,
    DAY,
    EVIDENCE_HASH,
    KYC_TOPIC,
    IssuedClaim,
    claim_data,
    signed_batch,
    signed_claim,
    typed_batch,
    with_other_s,
    with_v,
)
from eth_account.messages import _hash_eip191_message
from eth_utils import keccak
from hypothesis import strategies as st

# Not brownie's, which takes the chain back before each example: these only call.
from hypothesis.core import given


@pytest.fixture(scope="module")
def kyc(identity, now):
    return IssuedClaim(identity, now(), now() + DAY)


@pytest.fixture
def issued(issuer, key, kyc, stranger):
    """A claim that stands; a stranger has sent it."""
    issuer.issue(*signed_batch(issuer, key, kyc), {"from": stranger})
    return kyc


# Issuing


def test_issue__signed_by_key__valid_whoever_sends(issuer, store, key, kyc, stranger):
    assert not kyc.is_valid(issuer)
    transaction = issuer.issue(*signed_batch(issuer, key, kyc), {"from": stranger})
    assert kyc.is_valid(issuer)
    event = transaction.events["ClaimIssued"][0]
    assert event.address == store
    assert dict(event) == {
        "identity": kyc.identity,
        "topic": KYC_TOPIC,
        "issuer": issuer,
        "issuedAt": kyc.issued_at,
        "expiresAt": kyc.expires_at,
        "keyIndex": 1,
        "evidenceHash": "0x" + EVIDENCE_HASH.hex(),
    }


def test_issue__several__all_or_nothing(issuer, key, kyc, stranger, accounts):
    claims = [kyc.but(identity=accounts[number].address) for number in range(4)]
    bad = kyc.but(identity=ZERO_ADDRESS)
    with reverts(f"ClaimStoreInvalidIdentity: {ZERO_ADDRESS}"):
        issuer.issue(*signed_batch(issuer, key, *claims, bad), {"from": stranger})
    assert not any(claim.is_valid(issuer) for claim in claims)
    issuer.issue(*signed_batch(issuer, key, *claims), {"from": stranger})
    assert all(claim.is_valid(issuer) for claim in claims)


def test_issue__nothing__refused(issuer, key, stranger):
    with reverts("ClaimIssuerNoClaims: "):
        issuer.issue(*signed_batch(issuer, key), {"from": stranger})


def test_issue__unknown_key__refused(issuer, new_key, kyc, stranger):
    with reverts(f"ClaimIssuerUnauthorizedSigner: {new_key.address.lower()}"):
        issuer.issue(*signed_batch(issuer, new_key, kyc), {"from": stranger})


def test_issue__owner_signs__refused(issuer, owner, key, kyc, new_key):
    """The cold key issues nothing."""
    claims, _ = signed_batch(issuer, key, kyc)
    with reverts(f"ClaimIssuerUnauthorizedSigner: {ZERO_ADDRESS}"):
        issuer.issue(claims, b"", {"from": owner})


def test_issue__removed_key__refused(issuer, owner, key, kyc, stranger):
    batch = signed_batch(issuer, key, kyc)
    issuer.removeSigningKey(key, {"from": owner})
    with reverts(f"ClaimIssuerUnauthorizedSigner: {key.address.lower()}"):
        issuer.issue(*batch, {"from": stranger})


def test_issue__signature_rewritten__refused(issuer, key, kyc, stranger):
    claims, signature = signed_batch(issuer, key, kyc)
    v = signature[64]
    spoiled = (
        with_other_s(signature),
        with_v(signature, v - 27),
        signature + b"\0",
        signature[:64],
        b"",
    )
    for each in spoiled:
        with reverts(f"ClaimIssuerUnauthorizedSigner: {ZERO_ADDRESS}"):
            issuer.issue(claims, each, {"from": stranger})
    assert not kyc.is_valid(issuer)


@pytest.mark.parametrize("place", ["chain", "issuer"])
def test_issue__signed_for_elsewhere__refused(
    ClaimIssuer, issuer, store, owner, key, kyc, stranger, place
):
    twin = ClaimIssuer.deploy(owner, [key], store, {"from": owner})
    elsewhere = {"chain": {"chain_id": 1}, "issuer": {"address": twin.address}}[place]
    with reverts():
        issuer.issue(*signed_batch(issuer, key, kyc, **elsewhere), {"from": stranger})
    assert not kyc.is_valid(issuer)


@pytest.mark.parametrize(
    "change", ["identity", "topic", "issued_at", "expires_at", "evidence_hash"]
)
def test_issue__claim_changed_after_signing__refused(issuer, key, kyc, stranger, change):
    other = {
        "identity": stranger.address,
        "topic": KYC_TOPIC + 1,
        "issued_at": kyc.issued_at - 1,
        "expires_at": kyc.expires_at + DAY,
        "evidence_hash": bytes(32),
    }[change]
    _, signature = signed_batch(issuer, key, kyc)
    with reverts():
        issuer.issue([kyc.but(**{change: other}).values()], signature, {"from": stranger})


def test_issue__claim_left_out_or_doubled__refused(issuer, key, kyc, stranger):
    other = kyc.but(identity=stranger.address)
    claims, signature = signed_batch(issuer, key, kyc, other)
    for tampered in (claims[:1], claims[::-1], [*claims, claims[0]]):
        with reverts():
            issuer.issue(tampered, signature, {"from": stranger})


def test_issue__sent_twice__second_changes_nothing(issuer, key, issued, stranger):
    transaction = issuer.issue(*signed_batch(issuer, key, issued), {"from": stranger})
    assert "ClaimIssued" not in transaction.events
    assert issued.is_valid(issuer)


def test_issue__old_batch_after_newer__refused(issuer, key, kyc, now, mine_at, stranger):
    """Whoever kept an old batch cannot put its claim in the place of a newer one."""
    old = signed_batch(issuer, key, kyc)
    issuer.issue(*old, {"from": stranger})
    mine_at(now() + 10)
    newer = kyc.but(issued_at=now(), expires_at=now() + 60)
    issuer.issue(*signed_batch(issuer, key, newer), {"from": stranger})
    with reverts():
        issuer.issue(*old, {"from": stranger})
    assert newer.is_valid(issuer)
    assert not kyc.is_valid(issuer)


def test_issue__old_batch_after_revocation__refused(issuer, owner, key, issued, now, stranger):
    issuer.revoke(issued.identity, issued.topic, {"from": owner})
    values = f"{issued.identity.lower()}, {KYC_TOPIC}, {issued.issued_at}, {now()}"
    with reverts(f"ClaimStoreClaimRevoked: {values}"):
        issuer.issue(*signed_batch(issuer, key, issued), {"from": stranger})
    assert not issued.is_valid(issuer)


def test_issue__unsent_when_revoked__never_valid(issuer, owner, key, kyc, stranger):
    """A signed batch that lies in a drawer is void as well."""
    batch = signed_batch(issuer, key, kyc)
    issuer.revoke(kyc.identity, kyc.topic, {"from": owner})
    with reverts():
        issuer.issue(*batch, {"from": stranger})


def test_issue__post_dated__refused(issuer, key, kyc, now, next_block_at, stranger):
    next_block_at(now() + 10)
    later = kyc.but(issued_at=now() + 11)
    with reverts():
        issuer.issue(*signed_batch(issuer, key, later), {"from": stranger})


# Validity of what stands


def test_issued__around_expiry__until_just_before(issuer, issued, mine_at):
    mine_at(issued.expires_at - 1)
    assert issued.is_valid(issuer)
    mine_at(issued.expires_at)
    assert not issued.is_valid(issuer)


def test_issued__revoked__void_until_issued_later(issuer, key, issued, now, mine_at, stranger):
    issuer.revoke(issued.identity, issued.topic, {"from": key})
    assert not issued.is_valid(issuer)
    assert issuer.revokedAt(issued.identity, issued.topic) == now()
    mine_at(now() + 1)
    renewed = issued.but(issued_at=now(), expires_at=now() + DAY)
    issuer.issue(*signed_batch(issuer, key, renewed), {"from": stranger})
    assert renewed.is_valid(issuer)


def test_issued__key_removed__void_until_added_again(issuer, owner, key, issued):
    issuer.removeSigningKey(key, {"from": owner})
    assert not issued.is_valid(issuer)
    issuer.addSigningKey(key, {"from": owner})
    assert issued.is_valid(issuer)
    assert issuer.keyIndexOf(key) == 1, "the same key, not another one"


def test_issued__stolen_key_removed__claims_of_other_keys_stand(
    issuer, owner, key, new_key, kyc, stranger
):
    issuer.addSigningKey(new_key, {"from": owner})
    by_other = kyc.but(identity=stranger.address)
    issuer.issue(*signed_batch(issuer, key, kyc), {"from": stranger})
    issuer.issue(*signed_batch(issuer, new_key, by_other), {"from": stranger})
    issuer.removeSigningKey(new_key, {"from": owner})
    assert kyc.is_valid(issuer)
    assert not by_other.is_valid(issuer)


def test_issued__presented_with_other_data__refused(issuer, issued):
    for data in (
        claim_data(issued.issued_at, issued.expires_at),
        claim_data(issued.issued_at - 1, issued.expires_at, EVIDENCE_HASH[:16] + bytes(16)),
        claim_data(issued.issued_at, issued.expires_at + DAY, EVIDENCE_HASH[:16] + bytes(16)),
        claim_data(2**64 + issued.issued_at, issued.expires_at),
        issued.data()[:95],
        issued.data() + bytes(32),
        b"",
    ):
        assert not issuer.isClaimValid(issued.identity, issued.topic, b"", data)


def test_issued__presented_for_another__refused(issuer, issued, stranger):
    assert not issued.but(identity=stranger.address).is_valid(issuer)
    assert not issued.but(topic=KYC_TOPIC + 1).is_valid(issuer)
    assert not issued.but(topic=0).is_valid(issuer)


def test_issued__asked_of_another_issuer__refused(ClaimIssuer, issuer, store, owner, key, issued):
    twin = ClaimIssuer.deploy(owner, [key], store, {"from": owner})
    store.admit(twin, KYC_TOPIC, {"from": owner})
    assert not issued.is_valid(twin)


def test_issued__and_signed__revoked_together(issuer, owner, key, issued, now):
    signed = signed_claim(issuer, key, issued.identity, claim_data(now(), now() + DAY))
    assert signed.is_valid(issuer)
    assert issued.is_valid(issuer)
    issuer.revoke(issued.identity, issued.topic, {"from": owner})
    assert not signed.is_valid(issuer)
    assert not issued.is_valid(issuer)


@given(data=st.one_of(st.binary(max_size=160), st.binary(min_size=96, max_size=96)))
def test_issued__any_data__refused_without_revert(issuer, identity, data):
    assert not issuer.isClaimValid(identity, KYC_TOPIC, b"", data)


# Keys


def test_signing_keys__255_of_them__no_more(ClaimIssuer, store, owner, stranger):
    limit = 255
    keys = [f"0x{number + 1:040x}" for number in range(limit)]
    crowded = ClaimIssuer.deploy(owner, keys[:120], store, {"from": owner})
    for each in keys[120:]:
        crowded.addSigningKey(each, {"from": owner})
    assert (crowded.keyCount(), crowded.MAX_SIGNING_KEYS()) == (limit, limit)
    assert crowded.keyIndexOf(keys[-1]) == limit
    with reverts(f"ClaimIssuerTooManySigningKeys: {limit}"):
        crowded.addSigningKey(stranger, {"from": owner})
    crowded.removeSigningKey(keys[-1], {"from": owner})
    assert not crowded.isSigningKey(keys[-1])
    assert crowded.isSigningKey(keys[-2])
    crowded.addSigningKey(keys[-1], {"from": owner})
    assert crowded.isSigningKey(keys[-1])


# The digest


@pytest.mark.parametrize("count", [1, 2, 7])
def test_batch_digest__any_number__is_eip712_hash(issuer, kyc, count):
    claims = [kyc.but(topic=number + 1) for number in range(count)]
    message = typed_batch(issuer.address, 31_337, claims)
    found = issuer.batchDigest([claim.values() for claim in claims])
    assert bytes(found) == _hash_eip191_message(message)


def test_typehashes__read__are_hashes_of_types(issuer):
    fields = ",".join(f"{field['type']} {field['name']}" for field in BATCH_TYPE["IssuedClaim"])
    one = f"IssuedClaim({fields})"
    assert bytes(issuer.ISSUED_CLAIM_TYPEHASH()) == keccak(text=one)
    assert bytes(issuer.BATCH_TYPEHASH()) == keccak(text=f"ClaimBatch(IssuedClaim[] claims){one}")

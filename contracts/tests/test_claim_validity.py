"""Which claims are valid, and which are not."""

import pytest
from brownie import reverts
from claims import (
    DAY,
    EVIDENCE_HASH,
    KYC_TOPIC,
    SECP256K1_ORDER,
    UINT64_MAX,
    Claim,
    claim_data,
    join,
    signed_claim,
    split,
    typed_claim,
    with_other_s,
    with_v,
)
from eth_abi import encode
from eth_account import Account
from eth_account.messages import _hash_eip191_message, encode_defunct
from eth_utils import keccak
from hypothesis import strategies as st

# Not brownie's, which takes the chain back before each example: these only call.
from hypothesis.core import given


def test_is_claim_valid__signed_by_active_key__valid(issuer, claim):
    assert claim.is_valid(issuer)


def test_is_claim_valid__any_evidence_hash__valid(issuer, key, identity, now):
    data = claim_data(now(), now() + DAY, bytes(32))
    assert signed_claim(issuer, key, identity, data).is_valid(issuer)


# Time


def test_is_claim_valid__around_issue__from_issue_on(issuer, key, identity, now, mine_at):
    issued_at = now() + 100
    claim = signed_claim(issuer, key, identity, claim_data(issued_at, issued_at + DAY))
    mine_at(issued_at - 1)
    assert not claim.is_valid(issuer)
    mine_at(issued_at)
    assert claim.is_valid(issuer)


def test_is_claim_valid__around_expiry__until_just_before(issuer, key, identity, now, mine_at):
    expires_at = now() + 100
    claim = signed_claim(issuer, key, identity, claim_data(now(), expires_at))
    mine_at(expires_at - 1)
    assert claim.is_valid(issuer)
    mine_at(expires_at)
    assert not claim.is_valid(issuer)
    mine_at(expires_at + DAY)
    assert not claim.is_valid(issuer)


def test_is_claim_valid__last_expiry_that_fits__valid(issuer, key, identity, now):
    assert signed_claim(issuer, key, identity, claim_data(now(), UINT64_MAX)).is_valid(issuer)


def test_is_claim_valid__issued_at_zero__valid(issuer, key, identity, now):
    assert signed_claim(issuer, key, identity, claim_data(0, now() + 1)).is_valid(issuer)


@given(issued=st.integers(-3, 3), expires=st.integers(-3, 3))
def test_is_claim_valid__any_period__valid_iff_now_is_in_it(
    issuer, key, identity, now, issued, expires
):
    time = now()
    claim = signed_claim(issuer, key, identity, claim_data(time + issued, time + expires))
    assert claim.is_valid(issuer) == (issued <= 0 < expires)


# What the signature is bound to


def test_is_claim_valid__other_identity__refused(issuer, claim, stranger):
    assert not claim.but(identity=stranger.address).is_valid(issuer)


def test_is_claim_valid__other_topic__refused(issuer, claim):
    assert not claim.but(topic=KYC_TOPIC + 1).is_valid(issuer)


def test_is_claim_valid__topic_zero__refused(issuer, key, identity, claim):
    assert not signed_claim(issuer, key, identity, claim.data, topic=0).is_valid(issuer)


def test_is_claim_valid__largest_topic__valid(issuer, key, identity, claim):
    assert signed_claim(issuer, key, identity, claim.data, topic=2**256 - 1).is_valid(issuer)


def test_is_claim_valid__longer_period_than_signed__refused(issuer, claim, now):
    assert not claim.but(data=claim_data(now(), now() + 2 * DAY)).is_valid(issuer)


def test_is_claim_valid__other_evidence__refused(issuer, claim):
    assert not claim.but(data=claim.data[:64] + keccak(EVIDENCE_HASH)).is_valid(issuer)


def test_is_claim_valid__signed_for_other_chain__refused(issuer, key, identity, claim):
    other = signed_claim(issuer, key, identity, claim.data, chain_id=1)
    assert not other.is_valid(issuer)


def test_is_claim_valid__chain_forked_away__refused(web3, issuer, key, identity, claim):
    """The domain separator follows the chain id, though it is cached at deployment."""
    try:
        web3.provider.make_request("anvil_setChainId", [31_338])
        assert not claim.is_valid(issuer)
        assert signed_claim(issuer, key, identity, claim.data, chain_id=31_338).is_valid(issuer)
    finally:
        web3.provider.make_request("anvil_setChainId", [31_337])
    assert claim.is_valid(issuer)


def test_is_claim_valid__signed_for_other_issuer__refused(
    ClaimIssuer, store, issuer, claim, owner, key
):
    twin = ClaimIssuer.deploy(owner, [key], store, {"from": owner})
    assert not claim.is_valid(twin)
    assert claim.is_valid(issuer)


def test_is_claim_valid__signed_as_onchainid_does__refused(issuer, key, claim):
    inner = keccak(
        encode(["address", "uint256", "bytes"], [claim.identity, claim.topic, claim.data])
    )
    signed = Account.sign_message(encode_defunct(primitive=inner), key.private_key)
    assert not claim.but(signature=bytes(signed.signature)).is_valid(issuer)


# Who signed


def test_is_claim_valid__unknown_key__refused(issuer, new_key, identity, claim):
    assert not signed_claim(issuer, new_key, identity, claim.data).is_valid(issuer)


def test_is_claim_valid__no_keys__refused(ClaimIssuer, store, owner, key, identity, claim):
    keyless = ClaimIssuer.deploy(owner, [], store, {"from": owner})
    assert not signed_claim(keyless, key, identity, claim.data).is_valid(keyless)


def test_is_claim_valid__key_rotated__only_new_key_counts(
    issuer, owner, key, new_key, identity, claim
):
    issuer.addSigningKey(new_key, {"from": owner})
    renewed = signed_claim(issuer, new_key, identity, claim.data)
    assert claim.is_valid(issuer)
    assert renewed.is_valid(issuer)
    issuer.removeSigningKey(key, {"from": owner})
    assert not claim.is_valid(issuer)
    assert renewed.is_valid(issuer)


def test_is_claim_valid__key_added_again__valid_again(issuer, owner, key, claim):
    issuer.removeSigningKey(key, {"from": owner})
    issuer.addSigningKey(key, {"from": owner})
    assert claim.is_valid(issuer)


# Form of the signature


def test_is_claim_valid__upper_half_s__refused(issuer, claim, key, web3, identity):
    other = with_other_s(claim.signature)
    message = typed_claim(issuer.address, 31_337, claim.identity, claim.topic, claim.data)
    r, s, v = split(other)
    assert Account.recover_message(message, (v, r, s)) == key.address, "a real second signature"
    assert not claim.but(signature=other).is_valid(issuer)


def test_is_claim_valid__upper_half_s_same_v__refused(issuer, claim):
    r, s, v = split(claim.signature)
    assert not claim.but(signature=join(r, SECP256K1_ORDER - s, v)).is_valid(issuer)


@pytest.mark.parametrize("v", [0, 1, 2, 26, 29, 30, 35, 255])
def test_is_claim_valid__v_neither_27_nor_28__refused(issuer, claim, v):
    assert not claim.but(signature=with_v(claim.signature, v)).is_valid(issuer)


def test_is_claim_valid__v_less_27__refused(issuer, claim):
    v = claim.signature[64]
    assert not claim.but(signature=with_v(claim.signature, v - 27)).is_valid(issuer)
    assert not claim.but(signature=with_v(claim.signature, 55 - v)).is_valid(issuer)


def test_is_claim_valid__compact_signature__refused(issuer, claim):
    r, s, v = split(claim.signature)
    compact = r.to_bytes(32, "big") + (s | (v - 27) << 255).to_bytes(32, "big")
    assert not claim.but(signature=compact).is_valid(issuer)


@pytest.mark.parametrize("length", [0, 1, 32, 63, 64])
def test_is_claim_valid__signature_cut_short__refused(issuer, claim, length):
    assert not claim.but(signature=claim.signature[:length]).is_valid(issuer)


def test_is_claim_valid__signature_with_tail__refused(issuer, claim):
    assert not claim.but(signature=claim.signature + b"\0").is_valid(issuer)


@pytest.mark.parametrize("r, s", [(0, 0), (0, 1), (1, 0), (SECP256K1_ORDER, 1), (2**256 - 1, 1)])
@pytest.mark.parametrize("v", [27, 28])
def test_is_claim_valid__points_off_the_curve__refused(issuer, claim, r, s, v):
    assert not claim.but(signature=join(r, s, v)).is_valid(issuer)


# Form of the data


@pytest.mark.parametrize("length", [0, 1, 32, 64, 95])
def test_is_claim_valid__data_cut_short__refused(issuer, key, identity, claim, length):
    assert not signed_claim(issuer, key, identity, claim.data[:length]).is_valid(issuer)


@pytest.mark.parametrize("tail", [1, 32, 4096])
def test_is_claim_valid__data_with_tail__refused(issuer, key, identity, claim, tail):
    assert not signed_claim(issuer, key, identity, claim.data + bytes(tail)).is_valid(issuer)


@pytest.mark.parametrize("excess", [2**64, 2**255])
def test_is_claim_valid__times_beyond_uint64__refused(issuer, key, identity, now, excess):
    for issued_at, expires_at in (
        (excess + now(), now() + DAY),
        (now(), excess + now() + DAY),
        (excess + now(), excess + now() + DAY),
    ):
        data = claim_data(issued_at, expires_at)
        assert not signed_claim(issuer, key, identity, data).is_valid(issuer)


# Properties


@given(
    topic=st.integers(0, 2**256 - 1),
    signature=st.one_of(st.binary(max_size=130), st.binary(min_size=65, max_size=65)),
    data=st.one_of(st.binary(max_size=160), st.binary(min_size=96, max_size=96)),
)
def test_is_claim_valid__any_bytes__refused_without_revert(
    issuer, identity, topic, signature, data
):
    assert not Claim(identity, topic, signature, data).is_valid(issuer)


@given(signature=st.binary(min_size=65, max_size=65), v=st.sampled_from([27, 28]))
def test_is_claim_valid__any_signature_of_good_data__refused(issuer, claim, signature, v):
    assert not claim.but(signature=with_v(signature, v)).is_valid(issuer)


@given(index=st.integers(0, 65 + 96 - 1), flip=st.integers(1, 255))
def test_is_claim_valid__one_byte_changed__refused(issuer, claim, index, flip):
    signed = bytearray(claim.signature + claim.data)
    signed[index] ^= flip
    spoiled = claim.but(signature=bytes(signed[:65]), data=bytes(signed[65:]))
    assert not spoiled.is_valid(issuer)


# The digest


@pytest.mark.parametrize("length", [0, 1, 96, 1000])
def test_claim_digest__any_data__is_eip712_hash(issuer, identity, length):
    data = b"\xd1" * length
    message = typed_claim(issuer.address, 31_337, identity, KYC_TOPIC, data)
    assert bytes(issuer.claimDigest(identity, KYC_TOPIC, data)) == _hash_eip191_message(message)


def test_claim_typehash__read__is_hash_of_type(issuer):
    expected = keccak(text="Claim(address identity,uint256 topic,bytes data)")
    assert bytes(issuer.CLAIM_TYPEHASH()) == expected


def test_claim_data_length__read__is_three_words(issuer, claim):
    assert issuer.CLAIM_DATA_LENGTH() == len(claim.data) == 96


def test_eip712_domain__read__names_this_issuer_and_chain(issuer):
    fields, name, version, chain_id, address, _salt, extensions = issuer.eip712Domain()
    assert (name, version, chain_id) == ("Milkiyat ClaimIssuer", "1", 31_337)
    assert address == issuer.address
    assert int(str(fields), 16) == 0x0F
    assert tuple(extensions) == ()


def test_is_claim_valid__called_with_value__not_payable(issuer, claim, owner):
    """The only reverts left are those of the caller's own encoding."""
    with reverts():
        issuer.isClaimValid.transact(
            claim.identity,
            claim.topic,
            claim.signature,
            claim.data,
            {"from": owner, "value": 1},
        )

"""Who revokes, what it voids, and how a claim is issued again."""

import pytest
from brownie import ZERO_ADDRESS, reverts
from claims import DAY, KYC_TOPIC, claim_data, signed_claim, with_other_s, with_v
from hypothesis import settings
from hypothesis import strategies as st

# Not brownie's, which takes the chain back before each example: time may go on here.
from hypothesis.core import given


@pytest.fixture(scope="module")
def revoke_at(issuer, owner, identity, next_block_at):
    """Return a function that revokes the KYC claim in a block of a given time."""

    def revoke(timestamp):
        next_block_at(timestamp)
        return issuer.revoke(identity, KYC_TOPIC, {"from": owner})

    return revoke


def test_revoked_at__never_revoked__zero(issuer, identity):
    assert issuer.revokedAt(identity, KYC_TOPIC) == 0


def test_revoke__by_owner__recorded_and_announced(issuer, store, identity, revoke_at, now):
    time = now() + 50
    transaction = revoke_at(time)
    assert issuer.revokedAt(identity, KYC_TOPIC) == time
    assert dict(transaction.events["ClaimRevoked"][0]) == {
        "identity": identity,
        "topic": KYC_TOPIC,
        "issuer": issuer,
        "revokedAt": time,
    }
    assert transaction.events["ClaimRevoked"][0].address == store, "one address to listen to"
    topics = transaction.logs[0].topics
    assert len(topics) == 4, "identity, topic and issuer are indexed"
    assert int.from_bytes(topics[2], "big") == KYC_TOPIC


def test_revoke__by_owner__claim_refused(issuer, owner, claim):
    issuer.revoke(claim.identity, claim.topic, {"from": owner})
    assert not claim.is_valid(issuer)


def test_revoke__by_signing_key__claim_refused(issuer, key, claim):
    issuer.revoke(claim.identity, claim.topic, {"from": key})
    assert not claim.is_valid(issuer)


def test_revoke__by_stranger__refused(issuer, stranger, claim):
    with reverts(f"ClaimIssuerUnauthorizedRevoker: {stranger.address.lower()}"):
        issuer.revoke(claim.identity, claim.topic, {"from": stranger})
    assert claim.is_valid(issuer)


def test_revoke__by_removed_key__refused(issuer, owner, key, claim):
    issuer.removeSigningKey(key, {"from": owner})
    with reverts(f"ClaimIssuerUnauthorizedRevoker: {key.address.lower()}"):
        issuer.revoke(claim.identity, claim.topic, {"from": key})


def test_revoke__by_holder_itself__refused(issuer, accounts, claim):
    holder = accounts.at(claim.identity)
    with reverts(f"ClaimIssuerUnauthorizedRevoker: {claim.identity.lower()}"):
        issuer.revoke(claim.identity, claim.topic, {"from": holder})


def test_revoke__zero_identity__refused(issuer, owner):
    with reverts(f"ClaimStoreInvalidIdentity: {ZERO_ADDRESS}"):
        issuer.revoke(ZERO_ADDRESS, KYC_TOPIC, {"from": owner})


def test_revoke__topic_zero__refused(issuer, owner, identity):
    with reverts("ClaimStoreInvalidTopic: 0"):
        issuer.revoke(identity, 0, {"from": owner})


def test_revoke__one_claim__others_stand(issuer, owner, key, claim, stranger):
    other_topic = signed_claim(issuer, key, claim.identity, claim.data, topic=KYC_TOPIC + 1)
    other_identity = signed_claim(issuer, key, stranger.address, claim.data)
    issuer.revoke(claim.identity, claim.topic, {"from": owner})
    assert not claim.is_valid(issuer)
    assert other_topic.is_valid(issuer)
    assert other_identity.is_valid(issuer)


def test_revoke__signature_rewritten__still_refused(issuer, owner, claim):
    """What revives a claim at the published issuer does not revive it here."""
    issuer.revoke(claim.identity, claim.topic, {"from": owner})
    v = claim.signature[64]
    for signature in (with_v(claim.signature, v - 27), with_other_s(claim.signature)):
        assert not claim.but(signature=signature).is_valid(issuer)


def test_revoke__signed_anew_with_old_date__still_refused(issuer, owner, new_key, claim):
    issuer.revoke(claim.identity, claim.topic, {"from": owner})
    issuer.addSigningKey(new_key, {"from": owner})
    assert not signed_claim(issuer, new_key, claim.identity, claim.data).is_valid(issuer)


@pytest.mark.parametrize("offset, valid", [(-1, False), (0, False), (1, True)])
def test_revoke__re_issued__valid_if_strictly_later(
    issuer, key, identity, revoke_at, now, mine_at, offset, valid
):
    revoked = now() + 50
    revoke_at(revoked)
    data = claim_data(revoked + offset, revoked + DAY)
    renewed = signed_claim(issuer, key, identity, data)
    mine_at(revoked + 1)
    assert renewed.is_valid(issuer) is valid


@settings(max_examples=30)
@given(offsets=st.lists(st.integers(1, 5), min_size=1, max_size=4), issued=st.integers(0, 25))
def test_revoke__any_sequence__last_one_decides(
    issuer, key, identity, revoke_at, now, mine_at, offsets, issued
):
    time = start = now()
    for offset in offsets:
        time += offset
        revoke_at(time)
    mine_at(start + 30)
    renewed = signed_claim(issuer, key, identity, claim_data(start + issued, start + DAY))
    assert renewed.is_valid(issuer) == (start + issued > time)


def test_revoke__again__voids_re_issued_claim(issuer, key, identity, revoke_at, now, mine_at):
    first = now() + 50
    revoke_at(first)
    renewed = signed_claim(issuer, key, identity, claim_data(first + 1, first + DAY))
    mine_at(first + 1)
    assert renewed.is_valid(issuer)
    revoke_at(first + 10)
    assert issuer.revokedAt(identity, KYC_TOPIC) == first + 10
    assert not renewed.is_valid(issuer)


def test_revoke__post_dated_claim__must_be_revoked_once_due(
    issuer, key, identity, revoke_at, now, mine_at
):
    due = now() + 500
    claim = signed_claim(issuer, key, identity, claim_data(due, due + DAY))
    revoke_at(due - 100)
    mine_at(due)
    assert claim.is_valid(issuer)
    revoke_at(due + 1)
    assert not claim.is_valid(issuer)


def test_revoke__never_claimed__later_claim_valid(issuer, key, identity, revoke_at, now, mine_at):
    time = now() + 50
    revoke_at(time)
    mine_at(time + 1)
    claim = signed_claim(issuer, key, identity, claim_data(time + 1, time + DAY))
    assert claim.is_valid(issuer)

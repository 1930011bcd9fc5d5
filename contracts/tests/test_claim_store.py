"""What issuers may write into the claim store, and what is read from it."""

import pytest
from brownie import ZERO_ADDRESS, reverts
from claims import DAY, EVIDENCE_HASH, KYC_TOPIC
from eth_abi import encode
from eth_utils import keccak
from hypothesis import settings
from hypothesis import strategies as st

# Not brownie's, which takes the chain back before each example: time may go on here.
from hypothesis.core import given

UINT96_MAX = 2**96 - 1
NOTHING = (0, 0, ZERO_ADDRESS, "0x", "0x", "")
NO_CLAIM = (0, 0, 0, 0, "0x" + "00" * 16)


@pytest.fixture(scope="module")
def writer(accounts, store, owner):
    """An account in the place of an issuer contract, whose KYC claims count."""
    store.admit(accounts[6], KYC_TOPIC, {"from": owner})
    return accounts[6]


@pytest.fixture(scope="module")
def other_writer(accounts, store, owner):
    store.admit(accounts[7], KYC_TOPIC, {"from": owner})
    return accounts[7]


@pytest.fixture(scope="module")
def write(store, writer, identity, next_block_at):
    """Return a function that writes a claim in a block of a given time."""

    def call(time, issued_at, expires_at, by=writer, about=identity, topic=KYC_TOPIC, key=1):
        next_block_at(time)
        return store.write(about, topic, issued_at, expires_at, key, EVIDENCE_HASH, {"from": by})

    return call


def claim_id(issuer, topic=KYC_TOPIC):
    return keccak(encode(["address", "uint256"], [str(issuer), topic]))


def data_of(issued_at, expires_at):
    shortened = EVIDENCE_HASH[:16] + bytes(16)
    return (
        "0x" + encode(["uint256", "uint256", "bytes32"], [issued_at, expires_at, shortened]).hex()
    )


# Kinds


def test_constructor__no_owner__refused(ClaimStore, owner):
    with reverts(f"OwnableInvalidOwner: {ZERO_ADDRESS}"):
        ClaimStore.deploy(ZERO_ADDRESS, {"from": owner})


def test_admit__by_owner__counts_and_announced(store, owner, stranger):
    assert not store.isAdmitted(stranger, 7)
    transaction = store.admit(stranger, 7, {"from": owner})
    assert store.isAdmitted(stranger, 7)
    assert not store.isAdmitted(stranger, 8)
    assert dict(transaction.events["KindAdmitted"][0]) == {
        "issuer": stranger,
        "topic": 7,
        "claimId": "0x" + claim_id(stranger, 7).hex(),
    }


def test_admit__by_issuer_itself__refused(store, stranger):
    with reverts(f"OwnableUnauthorizedAccount: {stranger.address.lower()}"):
        store.admit(stranger, 7, {"from": stranger})


def test_admit__twice__refused(store, owner, writer):
    with reverts(f"ClaimStoreKindAlreadyAdmitted: {writer.address.lower()}, {KYC_TOPIC}"):
        store.admit(writer, KYC_TOPIC, {"from": owner})


def test_admit__no_issuer__refused(store, owner):
    with reverts(f"ClaimStoreInvalidIssuer: {ZERO_ADDRESS}"):
        store.admit(ZERO_ADDRESS, 7, {"from": owner})


@pytest.mark.parametrize("topic", [0, UINT96_MAX + 1, 2**256 - 1])
def test_admit__topic_that_does_not_fit__refused(store, owner, stranger, topic):
    with reverts(f"ClaimStoreInvalidTopic: {topic}"):
        store.admit(stranger, topic, {"from": owner})


def test_admit__largest_topic__counts(store, owner, stranger):
    store.admit(stranger, UINT96_MAX, {"from": owner})
    assert store.isAdmitted(stranger, UINT96_MAX)


def test_admit__fifty_issuers_of_a_topic__no_more(store, owner, stranger):
    limit = store.MAX_ISSUERS_OF_TOPIC()
    assert limit == 50
    for number in range(limit):
        store.admit(f"0x{number + 1:040x}", 9, {"from": owner})
    with reverts(f"ClaimStoreTooManyIssuers: 9, {limit}"):
        store.admit(stranger, 9, {"from": owner})
    store.dismiss(f"0x{7:040x}", 9, {"from": owner})
    store.admit(stranger, 9, {"from": owner})


def test_dismiss__kind_with_claims__hidden_until_admitted_again(
    store, owner, writer, identity, write, now
):
    time = now() + 10
    write(time, time, time + DAY)
    transaction = store.dismiss(writer, KYC_TOPIC, {"from": owner})
    assert dict(transaction.events["KindDismissed"][0]) == {
        "issuer": writer,
        "topic": KYC_TOPIC,
        "claimId": "0x" + claim_id(writer).hex(),
    }
    assert not store.isAdmitted(writer, KYC_TOPIC)
    assert tuple(store.getClaim(identity, claim_id(writer))) == NOTHING
    assert "0x" + claim_id(writer).hex() not in store.claimIdsByTopic(identity, KYC_TOPIC)
    store.admit(writer, KYC_TOPIC, {"from": owner})
    assert store.getClaim(identity, claim_id(writer))[0] == KYC_TOPIC


def test_dismiss__not_admitted__refused(store, owner, stranger):
    with reverts(f"ClaimStoreKindNotAdmitted: {stranger.address.lower()}, {KYC_TOPIC}"):
        store.dismiss(stranger, KYC_TOPIC, {"from": owner})


def test_dismiss__by_other__refused(store, writer):
    with reverts(f"OwnableUnauthorizedAccount: {writer.address.lower()}"):
        store.dismiss(writer, KYC_TOPIC, {"from": writer})


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_dismiss__one_of_three__others_stay_listed(store, owner, accounts, identity, now, gone):
    writers = accounts[1:4]
    for writer in writers:
        store.admit(writer, 11, {"from": owner})
        store.write(identity, 11, now(), now() + DAY, 1, EVIDENCE_HASH, {"from": writer})
    store.dismiss(writers[gone], 11, {"from": owner})
    left = {"0x" + claim_id(each, 11).hex() for each in writers if each != writers[gone]}
    found = store.claimIdsByTopic(identity, 11)
    assert {str(each) for each in found} == left
    assert len(found) == 2


# Writing


def test_write__by_admitted_issuer__read_back_and_announced(store, writer, identity, write, now):
    time = now() + 10
    transaction = write(time, time - 5, time + DAY, key=3)
    short = "0x" + EVIDENCE_HASH[:16].hex()
    assert tuple(store.claimOf(writer, identity, KYC_TOPIC)) == (time - 5, time + DAY, 0, 3, short)
    assert dict(transaction.events["ClaimIssued"][0]) == {
        "identity": identity,
        "topic": KYC_TOPIC,
        "issuer": writer,
        "issuedAt": time - 5,
        "expiresAt": time + DAY,
        "keyIndex": 3,
        "evidenceHash": "0x" + EVIDENCE_HASH.hex(),
    }
    assert len(transaction.logs[0].topics) == 4, "identity, topic and issuer are indexed"
    expected = (KYC_TOPIC, 3, writer, "0x", data_of(time - 5, time + DAY), "")
    assert tuple(store.getClaim(identity, claim_id(writer))) == expected
    assert store.SCHEME_CONTRACT() == 3
    assert "0x" + store.claimIdOf(writer, KYC_TOPIC).hex() == "0x" + claim_id(writer).hex()


def test_write__one_slot__no_more(store, writer, stranger, write, now, web3):
    """A second claim of a known kind writes one new word: 22,100 gas with its cold access."""
    time = now() + 10
    write(time, time, time + DAY)
    second = write(time + 1, time + 1, time + DAY, about=stranger)
    assert second.gas_used < 21_000 + 22_100 + 12_000


def test_write__kind_not_admitted__refused(store, stranger, identity, now, write):
    time = now() + 10
    with reverts(f"ClaimStoreKindNotAdmitted: {stranger.address.lower()}, {KYC_TOPIC}"):
        write(time, time, time + DAY, by=stranger)


def test_write__other_topic_than_admitted__refused(store, writer, write, now):
    time = now() + 10
    with reverts(f"ClaimStoreKindNotAdmitted: {writer.address.lower()}, {KYC_TOPIC + 1}"):
        write(time, time, time + DAY, topic=KYC_TOPIC + 1)


def test_write__no_identity__refused(write, now):
    time = now() + 10
    with reverts(f"ClaimStoreInvalidIdentity: {ZERO_ADDRESS}"):
        write(time, time, time + DAY, about=ZERO_ADDRESS)


def test_write__post_dated__refused(identity, write, now):
    time = now() + 10
    values = f"{identity.lower()}, {KYC_TOPIC}, {time + 1}, {time}"
    with reverts(f"ClaimStorePostDated: {values}"):
        write(time, time + 1, time + DAY)


@pytest.mark.parametrize("late", [0, 1, 1000])
def test_write__expired__refused(identity, write, now, late):
    time = now() + 2000
    values = f"{identity.lower()}, {KYC_TOPIC}, {time - late}, {time}"
    with reverts(f"ClaimStoreExpired: {values}"):
        write(time, time - 1500, time - late)


def test_write__same_again__nothing_changes_and_no_event(store, writer, identity, write, now):
    time = now() + 10
    write(time, time, time + DAY)
    standing = tuple(store.claimOf(writer, identity, KYC_TOPIC))
    transaction = write(time + 5, time, time + DAY)
    assert "ClaimIssued" not in transaction.events
    assert tuple(store.claimOf(writer, identity, KYC_TOPIC)) == standing


@pytest.mark.parametrize("change", [{"expires_at": 2 * DAY}, {"key": 2}, {"earlier": 1}])
def test_write__not_newer_but_different__refused(identity, write, now, change):
    time = now() + 10
    write(time, time, time + DAY)
    issued_at = time - change.get("earlier", 0)
    with reverts(f"ClaimStoreNotNewer: {identity.lower()}, {KYC_TOPIC}, {issued_at}, {time}"):
        write(time + 5, issued_at, time + change.get("expires_at", DAY), key=change.get("key", 1))


def test_write__issued_at_zero__refused(identity, write, now):
    with reverts(f"ClaimStoreNotNewer: {identity.lower()}, {KYC_TOPIC}, 0, 0"):
        write(now() + 10, 0, now() + DAY)


def test_write__newer__replaces(store, writer, identity, write, now):
    time = now() + 10
    write(time, time, time + DAY)
    write(time + 5, time + 1, time + 2 * DAY, key=2)
    assert tuple(store.claimOf(writer, identity, KYC_TOPIC)[:4]) == (time + 1, time + 2 * DAY, 0, 2)


def test_write__two_issuers__do_not_touch_each_other(
    store, writer, other_writer, identity, write, now
):
    time = now() + 10
    write(time, time, time + DAY)
    write(time + 1, time + 1, time + DAY, by=other_writer, key=9)
    store.revoke(identity, KYC_TOPIC, {"from": other_writer})
    assert tuple(store.claimOf(writer, identity, KYC_TOPIC)[:4]) == (time, time + DAY, 0, 1)
    assert store.claimOf(other_writer, identity, KYC_TOPIC)[2] > time
    found = {str(each) for each in store.claimIdsByTopic(identity, KYC_TOPIC)}
    assert found == {"0x" + claim_id(each).hex() for each in (writer, other_writer)}


# Revoking


def test_revoke__standing_claim__void_and_announced(
    store, writer, identity, write, now, next_block_at
):
    time = now() + 10
    write(time, time, time + DAY)
    next_block_at(time + 5)
    transaction = store.revoke(identity, KYC_TOPIC, {"from": writer})
    assert dict(transaction.events["ClaimRevoked"][0]) == {
        "identity": identity,
        "topic": KYC_TOPIC,
        "issuer": writer,
        "revokedAt": time + 5,
    }
    assert tuple(store.claimOf(writer, identity, KYC_TOPIC)[:3]) == (time, time + DAY, time + 5)
    shortened = EVIDENCE_HASH[:16] + bytes(16)
    asked = (identity, KYC_TOPIC, time, time + DAY, shortened, {"from": writer})
    assert store.standingKey(*asked) == 0


def test_revoke__written_again__refused(identity, store, writer, write, now, next_block_at):
    time = now() + 10
    write(time, time, time + DAY)
    next_block_at(time + 5)
    store.revoke(identity, KYC_TOPIC, {"from": writer})
    for issued_at in (time, time + 1, time + 5):
        values = f"{identity.lower()}, {KYC_TOPIC}, {issued_at}, {time + 5}"
        with reverts(f"ClaimStoreClaimRevoked: {values}"):
            write(time + 10 + issued_at - time, issued_at, time + DAY)
    write(time + 30, time + 6, time + DAY)
    assert tuple(store.claimOf(writer, identity, KYC_TOPIC)[:3]) == (time + 6, time + DAY, time + 5)


def test_revoke__never_admitted__recorded(store, stranger, identity, now):
    """The issuer of signed claims needs no admission, and can still revoke them."""
    store.revoke(identity, KYC_TOPIC, {"from": stranger})
    assert store.claimOf(stranger, identity, KYC_TOPIC)[2] == now()
    assert tuple(store.getClaim(identity, claim_id(stranger))) == NOTHING


def test_revoke__no_identity_or_topic__refused(store, writer, identity):
    with reverts(f"ClaimStoreInvalidIdentity: {ZERO_ADDRESS}"):
        store.revoke(ZERO_ADDRESS, KYC_TOPIC, {"from": writer})
    with reverts("ClaimStoreInvalidTopic: 0"):
        store.revoke(identity, 0, {"from": writer})


# Reading


def test_read__never_written__empty(store, writer, identity):
    assert tuple(store.claimOf(writer, identity, KYC_TOPIC)) == NO_CLAIM
    assert tuple(store.getClaim(identity, claim_id(writer))) == NOTHING
    assert tuple(store.getClaim(identity, bytes(32))) == NOTHING
    assert len(store.claimIdsByTopic(identity, KYC_TOPIC)) == 0


def test_standing_key__this_claim_in_force__its_key(store, writer, identity, write, now, mine_at):
    time = now() + 10
    write(time, time, time + DAY, key=5)
    short = EVIDENCE_HASH[:16] + bytes(16)

    def key(issued_at=time, expires_at=time + DAY, evidence=short, topic=KYC_TOPIC, by=writer):
        return store.standingKey(identity, topic, issued_at, expires_at, evidence, {"from": by})

    assert key() == 5
    assert key(issued_at=time - 1) == 0
    assert key(expires_at=time + DAY + 1) == 0
    assert key(evidence=EVIDENCE_HASH) == 0, "the rest of the hash is not in the store"
    assert key(topic=KYC_TOPIC + 1) == 0
    assert key(issued_at=2**40 + time) == 0, "no bit above the field is cut off"
    mine_at(time + DAY - 1)
    assert key() == 5
    mine_at(time + DAY)
    assert key() == 0


@settings(max_examples=30)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["write", "revoke"]), st.integers(1, 4), st.integers(0, 6)),
        min_size=1,
        max_size=6,
    )
)
def test_store__any_sequence__only_rises_and_never_revives(
    store, writer, stranger, steps, now, next_block_at
):
    """A model of one claim: what stands is the newest written after the last revocation."""
    identity, time = stranger.address, now()
    before = store.claimOf(writer, identity, KYC_TOPIC)
    issued, revoked = before[0], before[2]
    for act, wait, age in steps:
        time += wait
        next_block_at(time)
        if act == "revoke":
            store.revoke(identity, KYC_TOPIC, {"from": writer})
            revoked = time
        else:
            wanted = time - age
            call = (identity, KYC_TOPIC, wanted, time + DAY, 1, EVIDENCE_HASH, {"from": writer})
            if wanted > max(issued, revoked):
                store.write(*call)
                issued = wanted
            else:
                with reverts():
                    store.write(*call)
        found = store.claimOf(writer, identity, KYC_TOPIC)
        assert (found[0], found[2]) == (issued, revoked)

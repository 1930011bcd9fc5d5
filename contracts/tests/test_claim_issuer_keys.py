"""Deployment, signing keys and ownership."""

from brownie import ZERO_ADDRESS, reverts


# Deployment


def test_constructor__owner_and_keys__set_and_announced(
    ClaimIssuer, store, accounts, owner, key, new_key
):
    issuer = ClaimIssuer.deploy(owner, [key, new_key], store, {"from": accounts[3]})
    assert issuer.owner() == owner
    assert issuer.isSigningKey(key)
    assert issuer.isSigningKey(new_key)
    assert not issuer.isSigningKey(owner), "the owner signs no claims"
    added = [dict(event) for event in issuer.tx.events["SigningKeyAdded"]]
    assert added == [{"signingKey": key, "index": 1}, {"signingKey": new_key, "index": 2}]
    assert issuer.STORE() == store


def test_constructor__no_keys__deployed(ClaimIssuer, store, owner):
    issuer = ClaimIssuer.deploy(owner, [], store, {"from": owner})
    assert "SigningKeyAdded" not in issuer.tx.events


def test_constructor__no_owner__refused(ClaimIssuer, store, owner, key):
    with reverts(f"OwnableInvalidOwner: {ZERO_ADDRESS}"):
        ClaimIssuer.deploy(ZERO_ADDRESS, [key], store, {"from": owner})


def test_constructor__zero_key__refused(ClaimIssuer, store, owner):
    with reverts(f"ClaimIssuerInvalidSigningKey: {ZERO_ADDRESS}"):
        ClaimIssuer.deploy(owner, [ZERO_ADDRESS], store, {"from": owner})


def test_constructor__same_key_twice__refused(ClaimIssuer, store, owner, key):
    with reverts(f"ClaimIssuerSigningKeyAlreadyActive: {key.address.lower()}"):
        ClaimIssuer.deploy(owner, [key, key], store, {"from": owner})


# Signing keys


def test_add_signing_key__by_owner__active_and_announced(issuer, owner, new_key):
    transaction = issuer.addSigningKey(new_key, {"from": owner})
    assert issuer.isSigningKey(new_key)
    assert transaction.events["SigningKeyAdded"]["signingKey"] == new_key


def test_add_signing_key__by_signing_key__refused(issuer, key, new_key):
    with reverts(f"OwnableUnauthorizedAccount: {key.address.lower()}"):
        issuer.addSigningKey(new_key, {"from": key})
    assert not issuer.isSigningKey(new_key)


def test_add_signing_key__zero__refused(issuer, owner):
    with reverts(f"ClaimIssuerInvalidSigningKey: {ZERO_ADDRESS}"):
        issuer.addSigningKey(ZERO_ADDRESS, {"from": owner})


def test_add_signing_key__active_already__refused(issuer, owner, key):
    with reverts(f"ClaimIssuerSigningKeyAlreadyActive: {key.address.lower()}"):
        issuer.addSigningKey(key, {"from": owner})


def test_remove_signing_key__by_owner__inactive_and_announced(issuer, owner, key):
    transaction = issuer.removeSigningKey(key, {"from": owner})
    assert not issuer.isSigningKey(key)
    assert transaction.events["SigningKeyRemoved"]["signingKey"] == key


def test_remove_signing_key__by_signing_key__refused(issuer, key):
    with reverts(f"OwnableUnauthorizedAccount: {key.address.lower()}"):
        issuer.removeSigningKey(key, {"from": key})
    assert issuer.isSigningKey(key)


def test_remove_signing_key__not_active__refused(issuer, owner, new_key):
    with reverts(f"ClaimIssuerSigningKeyNotActive: {new_key.address.lower()}"):
        issuer.removeSigningKey(new_key, {"from": owner})


def test_remove_signing_key__twice__refused(issuer, owner, key):
    issuer.removeSigningKey(key, {"from": owner})
    with reverts(f"ClaimIssuerSigningKeyNotActive: {key.address.lower()}"):
        issuer.removeSigningKey(key, {"from": owner})


# Ownership


def test_transfer_ownership__not_accepted__old_owner_acts(issuer, owner, stranger, new_key):
    transaction = issuer.transferOwnership(stranger, {"from": owner})
    assert dict(transaction.events["OwnershipTransferStarted"][0]) == {
        "previousOwner": owner,
        "newOwner": stranger,
    }
    assert (issuer.owner(), issuer.pendingOwner()) == (owner, stranger)
    with reverts(f"OwnableUnauthorizedAccount: {stranger.address.lower()}"):
        issuer.addSigningKey(new_key, {"from": stranger})
    with reverts(f"ClaimIssuerUnauthorizedRevoker: {stranger.address.lower()}"):
        issuer.revoke(stranger, 1, {"from": stranger})
    issuer.addSigningKey(new_key, {"from": owner})


def test_accept_ownership__by_pending_owner__takes_over(issuer, owner, stranger, new_key):
    issuer.transferOwnership(stranger, {"from": owner})
    transaction = issuer.acceptOwnership({"from": stranger})
    assert dict(transaction.events["OwnershipTransferred"][0]) == {
        "previousOwner": owner,
        "newOwner": stranger,
    }
    assert (issuer.owner(), issuer.pendingOwner()) == (stranger, ZERO_ADDRESS)
    with reverts(f"OwnableUnauthorizedAccount: {owner.address.lower()}"):
        issuer.addSigningKey(new_key, {"from": owner})
    with reverts(f"ClaimIssuerUnauthorizedRevoker: {owner.address.lower()}"):
        issuer.revoke(stranger, 1, {"from": owner})
    issuer.addSigningKey(new_key, {"from": stranger})


def test_accept_ownership__by_other__refused(issuer, owner, stranger, key):
    issuer.transferOwnership(stranger, {"from": owner})
    with reverts(f"OwnableUnauthorizedAccount: {key.address.lower()}"):
        issuer.acceptOwnership({"from": key})


def test_transfer_ownership__to_zero__takes_offer_back(issuer, owner, stranger):
    issuer.transferOwnership(stranger, {"from": owner})
    issuer.transferOwnership(ZERO_ADDRESS, {"from": owner})
    with reverts(f"OwnableUnauthorizedAccount: {stranger.address.lower()}"):
        issuer.acceptOwnership({"from": stranger})
    assert issuer.owner() == owner


def test_transfer_ownership__by_other__refused(issuer, stranger):
    with reverts(f"OwnableUnauthorizedAccount: {stranger.address.lower()}"):
        issuer.transferOwnership(stranger, {"from": stranger})


def test_renounce_ownership__by_owner__refused(issuer, owner):
    with reverts(f"ClaimIssuerOwnershipNotRenounceable: {owner.address.lower()}"):
        issuer.renounceOwnership.transact({"from": owner})
    assert issuer.owner() == owner


def test_renounce_ownership__by_other__refused(issuer, stranger):
    with reverts(f"OwnableUnauthorizedAccount: {stranger.address.lower()}"):
        issuer.renounceOwnership.transact({"from": stranger})

"""The Merkle roots of the registry's journal."""

import pytest
from brownie import ZERO_ADDRESS, reverts
from eth_utils import keccak
from suite import ROOT_A, ROOT_B, error

JOURNAL, OTHER = keccak(text="journal"), keccak(text="other")


@pytest.fixture(scope="module")
def writer(accounts):
    return accounts[3]


@pytest.fixture(scope="module")
def anchor(RegistryAnchor, owner, writer):
    return RegistryAnchor.deploy(owner, writer, {"from": owner})


def head_of(anchor, log):
    size, anchored_at, root = anchor.head(log)
    return size, anchored_at, bytes(root)


def test_constructor__owner_and_writer__announced(anchor, owner, writer):
    assert (anchor.owner(), anchor.writer()) == (owner, writer)
    event = anchor.tx.events["WriterChanged"]
    assert (event["oldWriter"], event["newWriter"]) == (ZERO_ADDRESS, writer)


def test_constructor__no_owner__refused(RegistryAnchor, owner, writer):
    with reverts(error("OwnableInvalidOwner", ZERO_ADDRESS)):
        RegistryAnchor.deploy(ZERO_ADDRESS, writer, {"from": owner})


def test_head__nothing_anchored__zeros(anchor):
    assert head_of(anchor, JOURNAL) == (0, 0, bytes(32))


def test_anchor__growing__each_root_kept(anchor, writer, now):
    for size, old_size, root in ((3, 0, ROOT_A), (4, 3, ROOT_B), (2**64 - 1, 4, ROOT_A)):
        event = anchor.anchor(JOURNAL, size, root, {"from": writer}).events["RootAnchored"]
        assert (bytes(event["log"]), event["size"], event["oldSize"]) == (JOURNAL, size, old_size)
        assert bytes(event["root"]) == root
        assert head_of(anchor, JOURNAL) == (size, now(), root)
    assert bytes(anchor.rootAt(JOURNAL, 3)) == ROOT_A
    assert bytes(anchor.rootAt(JOURNAL, 4)) == ROOT_B
    assert bytes(anchor.rootAt(JOURNAL, 5)) == bytes(32)


def test_anchor__two_logs__apart(anchor, writer):
    anchor.anchor(JOURNAL, 10, ROOT_A, {"from": writer})
    anchor.anchor(OTHER, 3, ROOT_B, {"from": writer})
    assert head_of(anchor, JOURNAL)[0] == 10
    assert head_of(anchor, OTHER)[0] == 3


@pytest.mark.parametrize("size", [0, 9, 10])
def test_anchor__not_growing__refused_and_nothing_overwritten(anchor, writer, size):
    anchor.anchor(JOURNAL, 10, ROOT_A, {"from": writer})
    before = head_of(anchor, JOURNAL)
    with reverts(error("AnchorNotGrowing", JOURNAL, size, 10)):
        anchor.anchor(JOURNAL, size, ROOT_B, {"from": writer})
    assert head_of(anchor, JOURNAL) == before


def test_anchor__empty_tree__refused(anchor, writer):
    with reverts(error("AnchorNotGrowing", JOURNAL, 0, 0)):
        anchor.anchor(JOURNAL, 0, ROOT_A, {"from": writer})


def test_anchor__zero_root__refused(anchor, writer):
    with reverts(error("AnchorInvalidRoot", JOURNAL, 1)):
        anchor.anchor(JOURNAL, 1, bytes(32), {"from": writer})


@pytest.mark.parametrize("by", ["owner", "stranger"])
def test_anchor__not_the_writer__refused(anchor, request, by):
    account = request.getfixturevalue(by)
    with reverts(error("AnchorUnauthorizedWriter", account)):
        anchor.anchor(JOURNAL, 1, ROOT_A, {"from": account})


def test_set_writer__by_owner__the_old_one_is_out(anchor, owner, writer, stranger):
    event = anchor.setWriter(stranger, {"from": owner}).events["WriterChanged"]
    assert (event["oldWriter"], event["newWriter"]) == (writer, stranger)
    with reverts(error("AnchorUnauthorizedWriter", writer)):
        anchor.anchor(JOURNAL, 1, ROOT_A, {"from": writer})
    anchor.anchor(JOURNAL, 1, ROOT_A, {"from": stranger})


def test_set_writer__by_writer__refused(anchor, writer):
    with reverts(error("OwnableUnauthorizedAccount", writer)):
        anchor.setWriter(writer, {"from": writer})


def test_ownership__in_two_steps_and_never_renounced(anchor, owner, stranger):
    with reverts(error("AnchorOwnershipNotRenounceable", owner)):
        anchor.renounceOwnership({"from": owner})
    with reverts(error("OwnableUnauthorizedAccount", stranger)):
        anchor.renounceOwnership({"from": stranger})
    anchor.transferOwnership(stranger, {"from": owner})
    assert anchor.owner() == owner
    anchor.acceptOwnership({"from": stranger})
    assert anchor.owner() == stranger

"""What a contract says when it refuses, as words."""

from __future__ import annotations

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from chain.contracts.abi import read_revert
from chain.sending.outbox import revert_problem

pytestmark = pytest.mark.unit

SENTENCE = bytes.fromhex("08c379a0")
PANIC = bytes.fromhex("4e487b71")
STRANGER = "0x" + "42" * 20


def selector(signature: str) -> bytes:
    return keccak(text=signature)[:4]


def test_read_revert__sentence__is_the_name() -> None:
    found = read_revert(SENTENCE + encode(["string"], ["Pausable: paused"]), "execution reverted")
    assert (found.selector, found.name, found.arguments) == ("0x08c379a0", "Pausable: paused", {})


def test_read_revert__panic__is_named_by_its_number() -> None:
    found = read_revert(PANIC + encode(["uint256"], [0x32]), "execution reverted")
    assert found.name == "Panic 0x32"


def test_read_revert__error_of_our_own__has_its_arguments() -> None:
    data = selector("ClaimIssuerUnauthorizedRevoker(address)") + encode(["address"], [STRANGER])
    found = read_revert(data, "execution reverted")
    assert found.name == "ClaimIssuerUnauthorizedRevoker"
    assert list(found.arguments.values()) == [STRANGER]
    assert found.selector == "0x" + data[:4].hex()


def test_read_revert__without_data__is_the_nodes_own_words() -> None:
    found = read_revert(b"", "execution reverted")
    assert (found.selector, found.name) == ("", "execution reverted")


def test_read_revert__error_of_somebody_else__keeps_its_selector() -> None:
    found = read_revert(bytes.fromhex("deadbeef") + bytes(32), "execution reverted")
    assert (found.selector, found.name) == ("0xdeadbeef", "execution reverted")


@pytest.mark.parametrize(
    "data",
    [
        SENTENCE,
        SENTENCE + bytes(31),
        SENTENCE + b"\xff" * 64,
        PANIC + b"\x01",
        selector("ClaimIssuerUnauthorizedRevoker(address)") + b"\x01",
        SENTENCE + encode(["bytes"], [b"\xff\xfe"]),
    ],
    ids=["nothing", "cut", "offset beyond", "short panic", "short error", "no text"],
)
def test_read_revert__malformed__is_shown_as_it_is(data: bytes) -> None:
    found = read_revert(data, "execution reverted")
    assert data.hex() in found.name
    assert found.selector == "0x" + data[:4].hex()


def test_revert_problem__reason__is_a_sentence_with_one_full_stop() -> None:
    for said in ("Identity is not verified.", "Identity is not verified"):
        data = SENTENCE + encode(["string"], [said])
        problem = revert_problem(read_revert(data, "execution reverted"))
        assert problem["detail"] == "The contract refuses this: Identity is not verified."
        assert problem["code"] == "call_would_revert"

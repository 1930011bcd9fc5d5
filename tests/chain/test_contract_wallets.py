"""Wallets that are contracts prove themselves by their own word, asked at one block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils.address import to_canonical_address, to_checksum_address
from eth_utils.crypto import keccak

from chain.node.client import ChainClient, bytes_of, hex_of
from chain.wallet_proof import check_proof, write_challenge
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Unavailable
from tests import factories as make
from tests.api.house import House, problem_of
from tests.chain.doubles import bytecodes
from tests.chain.nodes import CHAIN_ID, Node
from tests.chain.test_eligibility_api import house_of
from tests.chain.world import World

pytestmark = pytest.mark.chain

OWNER, STRANGER = (Account.from_key(bytes([number]) * 32) for number in (7, 8))
DEPLOYER = b"\x77" * 20
DOMAIN = "localhost"
UNDEPLOYED_MARK = "6492" * 16
BAD_WAYS = {
    "reverts": (0, "contract_wallet_failed"),
    "burns_gas": (1, "contract_wallet_failed"),
    "answers_nothing": (2, "contract_wallet_failed"),
    "answers_selector_only": (3, "contract_wallet_failed"),
    "answers_one": (4, "wallet_proof_refused"),
    "answers_more_bits": (5, "wallet_proof_refused"),
    "answers_other": (6, "wallet_proof_refused"),
}


@dataclass(frozen=True)
class Place:
    """A node on which anybody deploys."""

    node: Node

    def send(self, data: bytes, to: bytes | None = None) -> dict[str, Any]:
        self.node.fund(DEPLOYER)
        self.node.rpc("anvil_impersonateAccount", hex_of(DEPLOYER))
        call = {"from": hex_of(DEPLOYER), "data": hex_of(data), "gas": hex(3_000_000)}
        sent = self.node.rpc("eth_sendTransaction", call | ({"to": hex_of(to)} if to else {}))
        self.node.mine()
        receipt: dict[str, Any] = self.node.rpc("eth_getTransactionReceipt", sent)
        assert receipt["status"] == "0x1"
        return receipt

    def deploy(self, name: str, kind: str | None = None, value: object = None) -> bytes:
        arguments = encode([kind], [value]) if kind else b""
        return bytes_of(self.send(bytecodes()[name] + arguments)["contractAddress"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Node(tmp_path_factory.mktemp("wallets")) as node:
        yield Place(node)


def challenge_of(address: bytes) -> str:
    return write_challenge(
        address=to_checksum_address(address),
        domain=DOMAIN,
        chain_id=CHAIN_ID,
        issued_at=now(),
        expires_at=now() + timedelta(minutes=10),
    )


def sign(challenge: str, key: Any = OWNER) -> str:
    return "0x" + bytes(key.sign_message(encode_defunct(text=challenge)).signature).hex()


def check(client: ChainClient, challenge: str, signature: str, domain: str = DOMAIN) -> None:
    check_proof(client, challenge=challenge, signature=signature, domain=domain)


def refused(client: ChainClient, challenge: str, signature: str, **more: str) -> str:
    with pytest.raises((Conflict, Unavailable)) as error:
        check(client, challenge, signature, **more)
    return error.value.code


def test_contract_wallet__signed_by_its_owner__is_proven(place: Place) -> None:
    challenge = challenge_of(place.deploy("KeyWallet", "address", OWNER.address))

    check(place.node.client, challenge, sign(challenge))

    assert refused(place.node.client, challenge, sign(challenge, STRANGER)) == (
        "wallet_proof_refused"
    )
    assert refused(place.node.client, challenge, sign(challenge + " ")) == "wallet_proof_refused"
    assert refused(place.node.client, challenge, sign(challenge), domain="other.example") == (
        "wallet_proof_refused"
    )


@pytest.mark.parametrize(("way", "code"), BAD_WAYS.values(), ids=BAD_WAYS)
def test_contract_wallet__answers_badly__is_refused_by_name(
    place: Place, way: int, code: str
) -> None:
    challenge = challenge_of(place.deploy("BadWallet", "uint8", way))

    assert refused(place.node.client, challenge, sign(challenge)) == code


@pytest.mark.parametrize("signature", ["0x", "0x00", "0x" + "11" * 65, "0x" + "ab" * 4096])
def test_contract_wallet__signature_of_any_length__is_the_contracts_to_judge(
    place: Place, signature: str
) -> None:
    challenge = challenge_of(place.deploy("KeyWallet", "address", OWNER.address))

    assert refused(place.node.client, challenge, signature) in {
        "contract_wallet_failed",  # its own decoding reverts
        "wallet_proof_refused",
    }


def test_wallet__without_code__is_a_keys_and_nobody_elses(place: Place) -> None:
    challenge = challenge_of(to_canonical_address(OWNER.address))

    check(place.node.client, challenge, sign(challenge))
    assert refused(place.node.client, challenge, sign(challenge, STRANGER)) == (
        "wallet_proof_refused"
    )


def test_wallet__of_a_key__is_proven_while_the_node_is_away() -> None:
    away = ChainClient("http://127.0.0.1:1", CHAIN_ID)
    challenge = challenge_of(to_canonical_address(OWNER.address))

    check(away, challenge, sign(challenge))
    assert refused(away, challenge, sign(challenge, STRANGER)) == "chain_unavailable"


# Wallets that are not deployed yet (EIP-6492)


def wrapped(factory: bytes, call: bytes, signature: str) -> str:
    inner = encode(["address", "bytes", "bytes"], [hex_of(factory), call, bytes_of(signature)])
    return hex_of(inner) + UNDEPLOYED_MARK


def test_undeployed_wallet__signed_by_its_owner__is_proven_and_not_deployed(place: Place) -> None:

    deploy, place_of = (keccak(text=f"{name}(address)")[:4] for name in ("deploy", "placeOf"))
    factory = place.deploy("WalletFactory")
    owner = encode(["address"], [OWNER.address])
    wallet = place.node.client.call(factory, place_of + owner)[12:]
    challenge = challenge_of(wallet)
    client = place.node.client

    check(client, challenge, wrapped(factory, deploy + owner, sign(challenge)))

    assert not client.code(wallet)
    by_stranger = wrapped(factory, deploy + owner, sign(challenge, STRANGER))
    assert refused(client, challenge, by_stranger) == "wallet_proof_refused"
    strangers = encode(["address"], [STRANGER.address])
    of_stranger = wrapped(factory, deploy + strangers, sign(challenge, STRANGER))
    assert refused(client, challenge, of_stranger) in {
        "contract_wallet_failed",
        "wallet_proof_refused",
    }
    assert refused(client, challenge, "0x" + "00" * 64 + UNDEPLOYED_MARK) in {
        "contract_wallet_failed",
        "wallet_proof_refused",
    }
    place.send(deploy + owner, factory)
    check(client, challenge, sign(challenge))


def test_undeployed_wallet__of_somebodys_key__is_not_taken_from_them(place: Place) -> None:
    """Whoever hands in code of their own cannot have it stand at the address of a key."""
    victim = to_canonical_address(STRANGER.address)
    factory = place.deploy("WalletFactory")
    challenge = challenge_of(victim)
    signature = wrapped(factory, b"", sign(challenge))

    assert refused(place.node.client, challenge, signature) in {
        "contract_wallet_failed",
        "wallet_proof_refused",
    }


# Over the API


@pytest.fixture
def house(empty: World, tmp_path: Path) -> Iterator[House]:
    with house_of(empty, tmp_path / "api") as house:
        yield house


def test_prove_wallet__of_a_contract__is_proven_over_the_api(empty: World, house: House) -> None:
    with house.desk() as desk:
        who, investor = make.enrolled(desk)
    wallet = to_checksum_address(Place(empty.node).deploy("KeyWallet", "address", OWNER.address))
    caller, path = house.caller(who), f"/v1/investors/{investor.id}/wallets"
    challenge = caller.post(path, {"address": wallet}).json()["challenge"]
    proof = f"{path}/{wallet}/proof"

    with house.unchanged():
        refusal = caller.post(proof, {"signature": sign(challenge, STRANGER)})
    proven = caller.post(proof, {"signature": sign(challenge)}, key="proof-1")

    problem_of(refusal, 409, "wallet_proof_refused")
    assert (proven.status_code, proven.json()["state"]) == (200, "PROVEN"), proven.text
    assert caller.post(proof, {"signature": sign(challenge)}, key="proof-1").text == proven.text

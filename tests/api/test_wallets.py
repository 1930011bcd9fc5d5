"""A wallet is proven by its own signature of its own challenge, and by nothing else."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from eth_account import Account
from eth_account.messages import encode_defunct
from eth_account.signers.local import LocalAccount

from chain.node.client import ChainClient
from registry.investor.models import Investor
from registry.kernel.actor import Actor
from tests import factories as make
from tests.api.house import Caller, House, at_once, problem_of

pytestmark = pytest.mark.db

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
"""Of the curve: s and ORDER - s sign the same."""


@dataclass(frozen=True)
class Holder:
    """Somebody who is enrolled, and a wallet that is theirs."""

    actor: Actor
    investor: Investor
    caller: Caller
    key: LocalAccount

    def challenge(self, address: str | None = None, **more: Any) -> httpx.Response:
        path = f"/v1/investors/{self.investor.id}/wallets"
        return self.caller.post(path, {"address": address or self.key.address}, **more)

    def prove(self, signature: str, address: str | None = None) -> httpx.Response:
        path = f"/v1/investors/{self.investor.id}/wallets/{address or self.key.address}/proof"
        return self.caller.post(path, {"signature": signature})


class CodelessNode(ChainClient):
    """A node of a chain on which no contract stands."""

    def request(self, method: str, *_: Any) -> Any:
        if method == "eth_getCode":
            return "0x"
        assert method == "eth_getBlockByNumber", method
        return {"number": "0x1", "hash": "0x" + "11" * 32, "parentHash": "0x" + "10" * 32,
                "timestamp": "0x1", "gasLimit": "0x1", "logsBloom": "0x" + "00" * 256}  # fmt: skip


@pytest.fixture(scope="module")
def house(house: House) -> Iterator[House]:
    before = house.app.state.services
    node = CodelessNode("http://127.0.0.1:1", before.settings.chain_id)
    house.app.state.services = replace(before, node=node)
    yield house
    house.app.state.services = before


@pytest.fixture
def people(house: House) -> tuple[Holder, Holder]:
    with house.desk() as desk:
        enrolled = [make.enrolled(desk) for _ in range(2)]
    one, two = (
        Holder(actor, investor, house.caller(actor), Account.create())
        for actor, investor in enrolled
    )
    return one, two


@pytest.fixture
def holder(people: tuple[Holder, Holder]) -> Holder:
    return people[0]


@pytest.fixture
def thief(people: tuple[Holder, Holder]) -> Holder:
    return people[1]


def sign(key: LocalAccount, text: str) -> str:
    return "0x" + bytes(key.sign_message(encode_defunct(text=text)).signature).hex()


def owner_of(house: House, key: LocalAccount) -> Any:
    raw = bytes.fromhex(key.address[2:])
    return house.one("SELECT (SELECT investor_id FROM wallet WHERE address = :raw)", raw=raw)


def test_wallet__challenge_signed__is_proven(house: House, holder: Holder) -> None:
    challenge = holder.challenge().json()["challenge"]

    proven = holder.prove(sign(holder.key, challenge))

    assert proven.status_code == 200, proven.text
    assert proven.json()["state"] == "PROVEN"
    assert owner_of(house, holder.key) == holder.investor.id


def test_challenge__under_a_false_host__names_our_own_domain(holder: Holder) -> None:
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Origin": "evil"}

    challenge = holder.challenge(headers=headers).json()["challenge"]

    assert challenge.startswith("localhost wants you to sign in")
    assert "evil" not in challenge


def test_challenge__asked_twice__has_another_nonce(holder: Holder) -> None:
    first, second = (holder.challenge().json()["challenge"] for _ in range(2))

    assert first != second
    problem_of(holder.prove(sign(holder.key, first)), 409, "wallet_proof_refused")
    assert holder.prove(sign(holder.key, second)).is_success


def flipped(signature: str) -> str:
    r, s, v = signature[2:66], int(signature[66:130], 16), int(signature[130:], 16)
    return f"0x{r}{ORDER - s:064x}{55 - v:02x}"


FORGED: dict[str, Callable[[str, LocalAccount], str]] = {
    "another_key": lambda text, _: sign(Account.create(), text),
    "another_text": lambda text, key: sign(key, text + " "),
    "another_domain": lambda text, key: sign(key, text.replace("localhost", "evil.example")),
    "zeros": lambda *_: "0x" + "00" * 65,
    "ones": lambda *_: "0x" + "ff" * 65,
    "no_recovery": lambda text, key: sign(key, text)[:-2] + "02",
    "high_recovery": lambda text, key: sign(key, text)[:-2] + "1d",
    "s_zero": lambda text, key: sign(key, text)[:66] + "00" * 32 + "1b",
    "r_zero": lambda text, key: "0x" + "00" * 32 + sign(key, text)[66:],
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_proof__forged__is_refused(
    house: House, holder: Holder, forge: Callable[[str, LocalAccount], str]
) -> None:
    challenge = holder.challenge().json()["challenge"]
    with house.unchanged():
        response = holder.prove(forge(challenge, holder.key))

    problem_of(response, 409, "wallet_proof_refused")


def test_proof__mirrored_signature_of_the_wallet__proves_no_other_wallet(
    house: House, holder: Holder
) -> None:
    challenge = holder.challenge().json()["challenge"]

    response = holder.prove(flipped(sign(holder.key, challenge)))

    assert response.status_code in {200, 409}, response.text
    assert owner_of(house, holder.key) == (holder.investor.id if response.is_success else None)


def test_proof__after_its_time__is_refused(house: House, holder: Holder) -> None:
    challenge = holder.challenge().json()["challenge"]
    with house.desk() as desk:
        desk.session.connection().exec_driver_sql(
            "UPDATE wallet_challenge SET expires_at = now() - interval '1 second'"
            " WHERE investor_id = %s",
            (holder.investor.id,),
        )

    problem_of(holder.prove(sign(holder.key, challenge)), 409, "challenge_expired")


def test_proof__sent_again__changes_nothing(house: House, holder: Holder) -> None:
    signature = sign(holder.key, holder.challenge().json()["challenge"])
    holder.prove(signature)

    with house.unchanged():
        assert holder.prove(signature).is_success
        assert holder.prove("0x" + "00" * 65).is_success  # proven is proven
        problem_of(holder.challenge(), 409, "wallet_proven")


def test_proof__no_key_signed_and_the_node_is_away__may_be_tried_again(
    house: House, holder: Holder
) -> None:
    challenge = holder.challenge().json()["challenge"]
    codeless = house.app.state.services
    away = ChainClient("http://127.0.0.1:1", codeless.settings.chain_id)
    house.app.state.services = replace(codeless, node=away)
    try:
        with house.unchanged():
            response = holder.prove(sign(Account.create(), challenge))
    finally:
        house.app.state.services = codeless

    problem_of(response, 503, "chain_unavailable")
    assert holder.prove(sign(holder.key, challenge)).is_success


NO_SIGNATURES = {
    "empty": "",
    "half": "0x1",
    "no hex": "0xzz",
    "unmarked": "11" * 65,
    "long": "0x" + "00" * 8193,
}


@pytest.mark.parametrize("signature", NO_SIGNATURES.values(), ids=NO_SIGNATURES)
def test_proof__no_signature__is_invalid(house: House, holder: Holder, signature: str) -> None:
    holder.challenge()
    with house.unchanged():
        problem_of(holder.prove(signature), 422, "request_invalid")


# Another's wallet


def test_wallet__of_another__cannot_be_proven_with_ones_own_key(
    house: House, holder: Holder, thief: Holder
) -> None:
    challenge = thief.challenge(holder.key.address).json()["challenge"]

    response = thief.prove(sign(thief.key, challenge), holder.key.address)

    problem_of(response, 409, "wallet_proof_refused")
    assert holder.prove(sign(holder.key, holder.challenge().json()["challenge"])).is_success
    assert owner_of(house, holder.key) == holder.investor.id


def test_wallet__proof_of_another__cannot_be_handed_in_as_ones_own(
    holder: Holder, thief: Holder
) -> None:
    signature = sign(holder.key, holder.challenge().json()["challenge"])

    problem_of(thief.prove(signature, holder.key.address), 404, "not_found")
    theirs = f"/v1/investors/{holder.investor.id}/wallets/{holder.key.address}/proof"
    problem_of(thief.caller.post(theirs, {"signature": signature}), 404, "not_found")
    thief.challenge(holder.key.address)
    problem_of(thief.prove(signature, holder.key.address), 409, "wallet_proof_refused")


def test_wallet__challenged_by_a_thief_before_it_is_proven__is_the_holders(
    house: House, holder: Holder, thief: Holder
) -> None:
    signature = sign(holder.key, holder.challenge().json()["challenge"])

    thief.challenge(holder.key.address)

    assert holder.prove(signature).is_success
    assert owner_of(house, holder.key) == holder.investor.id
    problem_of(thief.prove(signature, holder.key.address), 409, "wallet_taken")


def test_wallet__both_ask_at_one_moment__the_prover_has_it(
    house: House, holder: Holder, thief: Holder
) -> None:
    signature = sign(holder.key, holder.challenge().json()["challenge"])

    proof, _ = at_once(
        functools.partial(holder.prove, signature), lambda: thief.challenge(holder.key.address)
    )

    assert proof.is_success, proof.text
    assert owner_of(house, holder.key) == holder.investor.id

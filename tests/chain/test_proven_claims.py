"""Claims held against store and issuer by the continuous proof, and mended by `reconcile`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, select

from chain.contracts.abi import contract
from chain.node.client import hex_of
from chain.proving.claims import CLAIM
from chain.proving.many_calls import Call, ManyCalls
from chain.proving.reconciler import Reconciler
from registry.captable.contract_models import ContractEvent
from registry.captable.models import ProofRound
from registry.captable.registered import registered_at
from registry.captable.service import block_at, get_token, latest_reconciliation
from registry.investor.service import KYC_TOPIC
from registry.kernel.actor import Role
from registry.kernel.clock import now
from tests.chain.market import FIRST, HELD, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import Suite, cursor_of
from tests.chain.test_claims import Claims
from tests.chain.test_eligibility_api import house_of
from tests.chain.test_reconciler import drained
from tests.chain.test_repair import edit, milkiyat
from tests.chain.world import PLATFORM, Hand, address_of, key_of

pytestmark = pytest.mark.chain

ANEW = "UPDATE proof_round SET begun_at = begun_at - interval '5 minutes'"
YEAR = 365 * 86_400
ISSUED_TO_FIRST = "event = 'ClaimIssued' AND subject = '\\x{first}'"


class Proven:
    """A token whose holders have claims, and the proofs of it."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.world = market.world
        self.claims = Claims(market.world, Hand(market.world.node, PLATFORM))
        self.suite: Suite = market.suite()
        self.index()

    def index(self) -> None:
        self.claims.index()

    def identity(self, person: int) -> bytes:
        wallet = address_of(key_of(person))
        with self.world.database.reading() as session:
            token = get_token(session, self.suite.token)
            block = block_at(session, CHAIN_ID, None)
            return registered_at(session, token, block, [wallet])[wallet].identity

    def edit(self, statement: str) -> None:
        edit(self.suite, statement.format(first=self.identity(FIRST).hex()))

    def prove(self) -> list[dict[str, Any]]:
        """Take a round over everybody; give what the newest proof says to differ."""
        drained(Reconciler(self.world.database, self.world.client))
        edit(self.suite, ANEW)
        asked_at = now()
        drained(Reconciler(self.world.database, self.world.client))
        with self.world.database.reading() as session:
            proof = latest_reconciliation(session, self.suite.token)
            # One that finds nothing new leaves no row.
            proven = session.exec(select(ProofRound)).one()
        assert proof is not None
        assert proven.begun_at >= asked_at
        assert proven.ended_at is not None
        return proof.differences

    def events(self) -> list[dict[str, Any]]:
        with self.world.database.reading() as session:
            rows = session.exec(
                select(ContractEvent).order_by(
                    col(ContractEvent.block_number), col(ContractEvent.log_index)
                )
            ).all()
            return [row.model_dump() for row in rows]


@pytest.fixture
def held(minted: Market) -> Proven:
    return Proven(minted)


def wallet_of(person: int) -> str:
    return hex_of(address_of(key_of(person)))


def what_of(held: Proven) -> str:
    return f"claim on topic {KYC_TOPIC} by {hex_of(held.world.place('ClaimIssuer'))}"


def test_proof__claims_through_their_whole_life__agrees_at_each_step(held: Proven) -> None:
    claims, first = held.claims, held.identity(FIRST)
    issuer, key = held.world.place("ClaimIssuer"), held.world.chain.claim_signer.address
    node = held.world.node

    def later(seconds: int) -> None:
        node.rpc("evm_increaseTime", seconds)
        node.mine()

    steps: list[Callable[[], object]] = [
        lambda: None,
        lambda: claims.revoke(first),
        lambda: later(60),
        lambda: claims.issue(first, lasts=3_600),
        lambda: claims.call("ClaimStore", "dismiss", issuer, KYC_TOPIC),
        lambda: claims.call("ClaimStore", "admit", issuer, KYC_TOPIC),
        lambda: claims.call("ClaimIssuer", "removeSigningKey", key),
        lambda: claims.call("ClaimIssuer", "addSigningKey", key),
        lambda: later(3_600),
        lambda: claims.issue(first, lasts=2**40 - 1 - 2 * node.client.head().timestamp),
        # Of somebody who has no claim, and a revocation alone.
        lambda: claims.revoke(address_of(key_of(60))),
        lambda: later(2 * YEAR),
    ]
    for number, step in enumerate(steps):
        step()
        held.index()
        assert held.prove() == [], number
    assert cursor_of(held.world.database).degraded is None


def test_proof__of_each_holder__costs_one_more_question(
    held: Proven, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sequence[Call]] = []
    ask = ManyCalls.ask

    def counted(self: ManyCalls, calls: Sequence[Call], block_hash: bytes) -> Any:
        asked.append(calls)
        return ask(self, calls, block_hash)

    monkeypatch.setattr(ManyCalls, "ask", counted)
    assert held.prove() == []

    last = asked[-1]
    of_token, of_each, in_general = 4, 5, 2
    assert len(last) == of_token + (of_each + 1) * len(HELD) + in_general
    valid = contract("ClaimIssuer").functions["isClaimValid"].selector
    assert sum(data.startswith(valid) for _, data in last) == len(HELD)


TAMPERING = {
    "claim that was missed": f"DELETE FROM contract_event WHERE {ISSUED_TO_FIRST}",
    "claim of another time": "UPDATE contract_event SET said ="
    " jsonb_set(said, '{{expiresAt}}', to_jsonb(((said->>'expiresAt')::bigint + 1)::text))"
    f" WHERE {ISSUED_TO_FIRST}",
    "revocation that was none": "UPDATE contract_event SET event = 'ClaimRevoked', said ="
    " said || jsonb_build_object('revokedAt', said->'issuedAt')"
    f" WHERE {ISSUED_TO_FIRST}",
    "claim that ran out": "UPDATE contract_event SET said ="
    " jsonb_set(said, '{{expiresAt}}', to_jsonb(((said->>'issuedAt')::bigint + 1)::text))"
    f" WHERE {ISSUED_TO_FIRST}",
}


@pytest.mark.parametrize("kind", TAMPERING)
def test_claim__kept_wrongly__is_a_break_with_its_evidence_and_is_mended(
    held: Proven, kind: str, tmp_path: Path
) -> None:
    right = held.events()
    held.edit(TAMPERING[kind])

    (found,) = held.prove()

    assert (found["what"], found["holder"]) == (what_of(held), wallet_of(FIRST))
    assert found["database"] != found["chain"]
    assert hex_of(held.suite.token) in (cursor_of(held.world.database).degraded or "")
    with house_of(held.world, tmp_path / "api") as house:
        rows = house.caller(Role.REGULATOR).get("/v1/breaks", limit=200).json()["items"]
    (opened,) = [row for row in rows if row["rule"] == "TOK-08"]
    assert opened["subject"] == f"{found['what']} of {found['holder']}"
    assert found["chain"] in opened["detail"]

    token = hex_of(held.suite.token)
    looked = milkiyat(held.suite, "reconcile", token)
    assert looked.exit_code == 1
    mended = milkiyat(held.suite, "reconcile", token, "--repair")
    assert mended.exit_code == 0, mended.output
    assert held.events() == right
    assert held.prove() == []
    assert cursor_of(held.world.database).degraded is None


def test_rules_of_claims__kept_wrongly__differ_for_all_and_are_mended(held: Proven) -> None:
    issuer, key = held.world.place("ClaimIssuer"), held.world.chain.claim_signer.address
    held.claims.call("ClaimStore", "dismiss", issuer, KYC_TOPIC)
    held.claims.call("ClaimIssuer", "removeSigningKey", key)
    held.index()
    assert held.prove() == []
    right = held.events()
    held.edit("DELETE FROM contract_event WHERE event IN ('KindDismissed', 'SigningKeyRemoved')")

    found = {item["what"]: item for item in held.prove()}

    assert found[f"claims on topic {KYC_TOPIC} by {hex_of(issuer)} count"]["chain"] == "false"
    accepted = found[f"claims of {hex_of(issuer)} by key {hex_of(key)} are accepted"]
    assert (accepted["database"], accepted["chain"]) == ("true", "false")
    assert found[what_of(held)]["chain"] == "void"
    assert milkiyat(held.suite, "reconcile", "--logs").exit_code == 1
    mended = milkiyat(held.suite, "reconcile", "--repair")
    assert mended.exit_code == 0, mended.output
    assert held.events() == right
    assert held.prove() == []


def test_event_of_no_claim_edited__takes_the_logs_to_find(held: Proven) -> None:
    right = held.events()
    held.edit("UPDATE contract_event SET tx_hash = '\\x{first}' WHERE event = 'SigningKeyAdded'")

    assert held.prove() == []
    assert milkiyat(held.suite, "reconcile").exit_code == 0
    looked = milkiyat(held.suite, "reconcile", "--logs")
    assert looked.exit_code == 1
    assert "ClaimIssuer 0x" in looked.output
    assert milkiyat(held.suite, "reconcile", "--repair").exit_code == 0
    assert held.events() == right


def test_repair__issuer_says_otherwise_than_its_logs__explains_and_fails(held: Proven) -> None:
    """No reading of events mends what the contract itself denies."""
    issuer = held.world.place("ClaimIssuer")
    right = held.events()
    held.world.node.rpc("anvil_setCode", hex_of(issuer), "0x60006000f3")
    held.world.node.mine()
    held.index()

    repaired = milkiyat(held.suite, "reconcile", "--repair")

    assert repaired.exit_code == 1
    assert "Claims still differ" in repaired.output
    assert CLAIM in repaired.output
    assert held.events() == right
    held.suite.index()
    with held.world.database.reading() as session:
        assert get_token(session, held.suite.token).caught_up_to is None


def test_proof__contracts_not_read_from_their_first_block__claims_nothing_of_claims(
    held: Proven,
) -> None:
    """Where the node had forgotten the first blocks, nobody can say which claims there are."""
    held.edit(TAMPERING["claim that was missed"])
    held.edit("UPDATE followed_contract SET read_from = 3 WHERE name = 'ClaimStore'")

    assert held.prove() == []
    assert milkiyat(held.suite, "reconcile").exit_code == 0


def test_difference__contract_is_read_apart_meanwhile__is_not_taken_for_settled(
    held: Proven,
) -> None:
    held.edit(TAMPERING["claim that was missed"])
    (found,) = held.prove()
    held.edit("UPDATE followed_contract SET caught_up_to = 1 WHERE name = 'ClaimStore'")

    assert held.prove() == [found]


def test_repair__killed_after_the_rewinding__next_run_goes_on(
    held: Proven, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = held.events()
    held.edit(TAMPERING["claim that was missed"])

    class Ended(BaseException):
        """The process is gone."""

    def killed(*_: object) -> None:
        raise Ended

    with monkeypatch.context() as patched:
        patched.setattr("api.reconcile_cli.ContractCatchUp.advance", killed)
        with pytest.raises(Ended):
            milkiyat(held.suite, "reconcile", "--repair")
    assert held.events() != right

    assert milkiyat(held.suite, "reconcile", "--repair").exit_code == 0
    assert held.events() == right


def test_holders__without_any_claim__are_asked_too(held: Proven) -> None:
    """Somebody registered whom no claim is about: a claim about them would be found."""
    stranger, identity = 50, address_of(key_of(51))
    register = contract("IdentityRegistry").functions["registerIdentity"]
    data = register.encode(wallet_of(stranger), hex_of(identity), 586)
    held.world.node.act_as(held.world.place("RegistrationDesk"), held.suite.registry, data)
    held.claims.issue(identity)
    held.index()
    assert held.prove() == []
    held.edit(f"DELETE FROM contract_event WHERE subject = '\\x{identity.hex()}'")

    (found,) = held.prove()

    assert found["holder"] == wallet_of(stranger)
    assert found["database"] == "none"
    assert found["chain"].startswith("issued ")

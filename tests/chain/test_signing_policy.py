"""What a key signs: contract, function and a day's limits, asked of the bytes themselves."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chain.contracts.abi import contract
from chain.contracts.platform import STEPS
from chain.errors import PolicyRefused, SignerRefused
from chain.operations.effect import Call
from chain.sending.attempts import Attempts
from chain.sending.fees import Fee, Priced
from chain.sending.policy import OF_A_SUITE, PUBLISHED_AS
from chain.signing.policies import DEFAULT_POLICY, SignerRole, load_policy
from registry.operation.models import Operation, OperationAttempt, OperationKind, OperationState
from tests import sales
from tests.chain.market import FIRST, HELD, ISSUER, SECOND, Market
from tests.chain.suite import count

pytestmark = pytest.mark.chain

ALLOWED = json.loads(DEFAULT_POLICY.read_text("utf-8"))


def under(market: Market, **agent: Any) -> Market:
    """Give the same market with another policy of the role agent."""
    roles = ALLOWED["roles"] | {"agent": ALLOWED["roles"]["agent"] | agent}
    policy = type(load_policy()).model_validate(ALLOWED | {"roles": roles})
    world = replace(market.world, chain=replace(market.world.chain, policy=policy))
    return replace(market, world=world)


def problem_of(market: Market, operation: Operation) -> dict[str, Any]:
    (found,) = [each for each in market.world.operations() if each.id == operation.id]
    assert found.state == OperationState.REFUSED
    assert found.nonce is None
    assert found.problem is not None
    return found.problem


def test_policy__method_of_the_role_taken_out__refuses_with_a_code_and_burns_no_nonce(
    market: Market,
) -> None:
    calls = ALLOWED["roles"]["agent"]["calls"] | {"CaseAgent": []}
    market = under(market, calls=calls)
    world = market.world
    world.settle()

    for person in (FIRST, SECOND):
        problem = problem_of(market, market.find(OperationKind.MINT, person))
        assert problem["code"] == "signer_method_forbidden"
        assert "CaseAgent" in problem["detail"]
        assert "SIGNER_POLICY" in problem["remedy"]
    assert market.find(OperationKind.REGISTER_IDENTITY, FIRST).state == OperationState.FINAL
    nonces = [each.nonce for each in world.operations() if each.nonce is not None]
    assert world.client.nonce(world.chain.platform.address) == len(nonces)


def test_policy__contract_of_the_role_taken_out__refuses(market: Market) -> None:
    calls = dict(ALLOWED["roles"]["agent"]["calls"])
    del calls["RegistrationDesk"]
    market = under(market, calls=calls)
    market.world.settle()

    problem = problem_of(market, market.find(OperationKind.REGISTER_IDENTITY, FIRST))
    assert problem["code"] == "signer_contract_forbidden"
    mint = problem_of(market, market.find(OperationKind.MINT, FIRST))
    assert mint["code"] == "dependency_failed"


def test_policy__batch_with_one_call_too_large__is_halved_and_the_others_go_on(
    market: Market,
) -> None:
    market = under(market, units_per_day=HELD[ISSUER] - 1)
    market = replace(market, world=replace(market.world, batch_rows=100))
    market.world.settle()

    too_large = problem_of(market, market.find(OperationKind.MINT, ISSUER))
    assert too_large["code"] == "signer_limit_exceeded"
    others = [market.find(OperationKind.MINT, person) for person in (FIRST, SECOND)]
    assert {each.state for each in others} == {OperationState.FINAL, OperationState.PLANNED}
    a_day_passes(market)
    market.world.settle()
    others = [market.find(OperationKind.MINT, person) for person in (FIRST, SECOND)]
    assert {each.state for each in others} == {OperationState.FINAL}


def test_policy__units_of_a_day_used_up__waits_until_they_are_not(market: Market) -> None:
    market = under(market, units_per_day=600)
    world = market.world
    world.settle()
    assert 0 < market.suite().on_chain().supply <= 600
    assert world.count(OperationState.REFUSED) == 0

    for _ in range(2):
        a_day_passes(market)
        world.settle()

    assert market.suite().on_chain().supply == sales.FRACTIONS


def test_policy__more_than_a_day_at_once__is_refused(market: Market) -> None:
    market = under(market, units_per_day=HELD[FIRST] - 1)
    market.world.settle()
    problem = problem_of(market, market.find(OperationKind.MINT, FIRST))
    assert problem["code"] == "signer_limit_exceeded"


def test_policy__transactions_of_a_day_used_up__the_rest_waits(market: Market) -> None:
    used = sum(
        each.kind not in {OperationKind.PLATFORM_STEP, OperationKind.DEPLOY_SUITE}
        and each.nonce is not None
        for each in market.world.operations()
    )
    market = under(market, transactions_per_day=used + 2)
    world = market.world
    world.settle()

    waiting = [each for each in world.operations() if each.state == OperationState.PLANNED]
    assert "signer_limit_reached" in {each.waits_for and each.waits_for["code"] for each in waiting}
    assert len([each for each in world.operations() if each.nonce is not None]) >= used + 2
    a_day_passes(market)
    world = under(market, transactions_per_day=None).world
    world.settle()
    assert market.suite().on_chain().supply == sales.FRACTIONS


def a_day_passes(market: Market) -> None:
    with market.world.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE operation_attempt SET signed_at = signed_at - interval '25 hours'"
        )


# -- the bytes, whoever made them --------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "function", "code"),
    [
        (OperationKind.MINT, "grantRole", "signer_method_forbidden"),
        (OperationKind.CONFIRM_LIFT, "mint", "signer_role_forbidden"),
        (OperationKind.PAUSE, "mint", "signer_method_forbidden"),
    ],
)
def test_attempt__call_of_another_function__is_never_signed(
    market: Market, kind: OperationKind, function: str, code: str
) -> None:
    data = contract("CaseAgent").functions[function].selector + bytes(96)
    refused = sign(market, kind, Call(market.world.place("CaseAgent"), data))
    assert refused.problem["code"] == code


@pytest.mark.parametrize("to", [b"\x99" * 20, None], ids=["a stranger", "a new contract"])
def test_attempt__call_of_a_stranger__is_never_signed(market: Market, to: bytes | None) -> None:
    refused = sign(market, OperationKind.PAUSE, Call(to, b"\x60\x80\x60\x40"))
    assert refused.problem["code"] == "signer_contract_forbidden"


def sign(market: Market, kind: OperationKind, call: Call) -> PolicyRefused:
    world = market.world
    operation = market.plan(kind, "forged")
    before = count(world.database, OperationAttempt)
    attempts = Attempts(world.database, world.chain, world.chain.platform)

    def forge() -> None:
        with world.database.transaction() as session:
            found = session.get_one(Operation, operation.id)
            found.signer, found.nonce = world.chain.platform.address, 10_000
            attempts.sign(session, found, Priced(call, 21_000, Fee(1, 0), 1))

    with pytest.raises(PolicyRefused) as refused:
        forge()
    assert count(world.database, OperationAttempt) == before
    return refused.value


# -- as a file ---------------------------------------------------------------------------------


def test_default_policy__names__exist() -> None:
    policy = load_policy()
    steps = {step.name for step in STEPS if step.calls is None}
    for role in SignerRole:
        for name, functions in policy.of(role).calls.items():
            assert name in {*steps, OF_A_SUITE}
            assert functions <= contract(PUBLISHED_AS.get(name, name)).functions.keys(), name
    assert not policy.of(SignerRole.CONFIRMER).creates


@pytest.mark.parametrize(
    "content",
    ["", "[]", '{"roles": {"owner": {}}}', '{"roles": {"agent": {"units_per_day": -1}}}',
     '{"roles": {"agent": {"call": {}}}}', '{"roles": {"settlement": {"units_per_day": 5}}}',
     '{"roles": {}, "claim_issuer": {"claims_per_day": -1}}'],
)  # fmt: skip
def test_policy_file__malformed__is_refused_and_names_the_setting(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "policy.json"
    path.write_text(content)
    with pytest.raises(SignerRefused, match="SIGNER_POLICY"):
        load_policy(path)
    with pytest.raises(SignerRefused, match="SIGNER_POLICY"):
        load_policy(tmp_path / "missing.json")


def test_policy_file__limit_of_what_the_role_never_does__is_refused_and_says_why(
    tmp_path: Path,
) -> None:
    path = tmp_path / "policy.json"
    path.write_text(
        '{"roles": {"settlement": {"calls": {"RupeeToken": ["mint"]}, "units_per_day": 5}}}'
    )
    with pytest.raises(SignerRefused, match=r"roles\.settlement: units_per_day counts what"):
        load_policy(path)
    path.write_text('{"roles": {"agent": {"calls": {"CaseAgent": ["mint"]}, "units_per_day": 5}}}')
    assert load_policy(path).of(SignerRole.AGENT).units_per_day == 5


def test_policy_file__claims_may_be_issued_and_nobody_signs_them__is_refused_and_says_what_to_add(
    tmp_path: Path,
) -> None:
    path = tmp_path / "policy.json"
    policy = {"roles": {"agent": {"calls": {"ClaimIssuer": ["issue"]}}}}
    path.write_text(json.dumps(policy))
    with pytest.raises(SignerRefused) as refused:
        load_policy(path)
    said = re.search(r"add (.*), or take issue out", str(refused.value))
    assert said is not None

    path.write_text(json.dumps(policy | json.loads(f"{{{said[1]}}}")))
    assert load_policy(path).claim_issuer.claims_per_day is None


def test_default_policy__rupees__are_issued_by_no_key_of_ours() -> None:
    policy = load_policy()
    for role in SignerRole:
        assert not policy.of(role).calls.get("RupeeToken", frozenset()) & {"mint", "burn"}


def test_policy_file__role_not_named__signs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "policy.json"
    path.write_text('{"roles": {}}')
    assert load_policy(path).of(SignerRole.DEPLOYER).calls == {}

"""What the claim key signs: for our issuer contract alone, and so many claims a day."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from chain.errors import PolicyRefused, RpcRefused
from chain.node.client import ChainClient, hex_of
from chain.operations.add_claim import claims_typed_data
from chain.operations.claim_signing import sign_claims
from chain.sending.outbox import claim_ready
from chain.sending.remedies import retry
from chain.signing.policies import SigningPolicy
from registry.operation.models import ClaimSignature, Operation, OperationKind, OperationState
from tests.chain.market import FIRST, SECOND, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import count
from tests.chain.test_signing_policy import ALLOWED, problem_of
from tests.factories import COMPLIANCE

pytestmark = pytest.mark.chain

CLAIM = {
    "identity": hex_of(b"\x77" * 20),
    "topic": 1,
    "issuedAt": 1,
    "expiresAt": 2,
    "evidenceHash": b"\x55" * 32,
}


def under(market: Market, *, without_issue: bool = False, **claim_issuer: Any) -> Market:
    """Give the same market with another policy of the claim key."""
    changed = deepcopy(ALLOWED)
    changed["claim_issuer"] |= claim_issuer
    if without_issue:
        del changed["roles"]["agent"]["calls"]["ClaimIssuer"]
    policy = SigningPolicy.model_validate(changed)
    world = replace(market.world, chain=replace(market.world.chain, policy=policy))
    return replace(market, world=world)


def claim(market: Market, person: int) -> Operation:
    before = market.find(OperationKind.ADD_CLAIM, person)
    return market.plan(OperationKind.ADD_CLAIM, f"one more claim {person}", **before.params)


def find(market: Market, operation: Operation) -> Operation:
    (found,) = [each for each in market.world.operations() if each.id == operation.id]
    return found


def a_day_passes(market: Market) -> None:
    with market.world.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE claim_signature SET signed_at = signed_at - interval '25 hours'"
        )


@pytest.mark.parametrize(
    ("signs", "code"),
    [({}, "signer_contract_forbidden"), ({"ClaimIssuer": []}, "signer_method_forbidden")],
)
def test_claim__policy_does_not_name_it__is_refused_and_can_be_retried_once_it_does(
    market: Market, signs: dict[str, Any], code: str
) -> None:
    allowing = market
    market = under(market, without_issue=True, signs=signs)
    signed = count(market.world.database, ClaimSignature)
    refused = claim(market, FIRST)
    market.world.settle()

    problem = problem_of(market, refused)
    assert problem["code"] == code
    assert "claim_issuer" in problem["remedy"]
    assert count(market.world.database, ClaimSignature) == signed

    with market.world.database.transaction() as session:
        anew = retry(session, COMPLIANCE, refused.id).id
    allowing.world.settle()
    (found,) = [each for each in market.world.operations() if each.id == anew]
    assert found.state == OperationState.FINAL


def test_claim__for_another_contract__is_never_signed(market: Market) -> None:
    world = market.world
    operation = claim(market, FIRST)
    forged = claims_typed_data(CHAIN_ID, hex_of(b"\x99" * 20), [{}])
    with world.database.transaction() as session, pytest.raises(PolicyRefused) as refused:
        sign_claims(session, world.chain, [operation], forged)
    assert refused.value.problem["code"] == "signer_contract_forbidden"


def test_claims__of_a_day_used_up__the_rest_waits_until_they_are_not(market: Market) -> None:
    used = count(market.world.database, ClaimSignature)
    assert used, "those of the enrolment"
    market = under(market, claims_per_day=used + 1)
    first, second = claim(market, FIRST), claim(market, SECOND)
    market.world.settle()

    assert find(market, first).state == OperationState.FINAL
    waiting = find(market, second)
    assert waiting.state == OperationState.PLANNED
    assert waiting.waits_for is not None
    assert waiting.waits_for["code"] == "signer_limit_reached"
    assert f"{used + 1} of {used + 1} claims" in waiting.waits_for["detail"]

    a_day_passes(market)
    market.world.settle()
    assert find(market, second).state == OperationState.FINAL


def test_claims__none_a_day__wait_until_some_are_allowed(market: Market) -> None:
    none = under(market, claims_per_day=0)
    none = replace(none, world=replace(none.world, batch_rows=100))
    claims = [claim(none, FIRST), claim(none, SECOND)]
    none.world.settle()
    for each in claims:
        waiting = find(none, each)
        assert waiting.state == OperationState.PLANNED
        assert waiting.waits_for is not None
        assert waiting.waits_for["code"] == "signer_limit_reached"
        assert "by itself" not in waiting.waits_for["remedy"]

    market.world.settle()
    assert {find(market, each).state for each in claims} == {OperationState.FINAL}


def test_claims__batch_of_more_than_a_day__is_halved_and_none_is_refused(market: Market) -> None:
    a_day_passes(market)
    market = under(market, claims_per_day=1)
    market = replace(market, world=replace(market.world, batch_rows=100))
    claims = [claim(market, FIRST), claim(market, SECOND)]
    market.world.settle()
    assert [find(market, each).state for each in claims] == [
        OperationState.FINAL,
        OperationState.PLANNED,
    ]
    a_day_passes(market)
    market.world.settle()
    assert find(market, claims[1]).state == OperationState.FINAL


def test_claims__batch_of_more_than_the_day_has_left__goes_as_far_as_there_is_room(
    market: Market,
) -> None:
    """Newcomers, each of whom alone has room, do not go before it day after day."""
    used = count(market.world.database, ClaimSignature)
    market = under(market, claims_per_day=used + 1)
    market = replace(market, world=replace(market.world, batch_rows=100))
    claims = [claim(market, FIRST), claim(market, SECOND)]
    market.world.settle()

    assert [find(market, each).state for each in claims] == [
        OperationState.FINAL,
        OperationState.PLANNED,
    ]
    waiting = find(market, claims[1]).waits_for
    assert waiting is not None
    assert waiting["code"] == "signer_limit_reached"


def test_claims__another_worker_has_taken_one__are_counted_all_the_same(market: Market) -> None:
    """That one waits for the limit, which whoever counts holds: neither may wait for the other."""
    world = under(market, claims_per_day=1_000).world
    operation = claim(market, FIRST)
    issuer = hex_of(world.place("ClaimIssuer"))
    typed = claims_typed_data(CHAIN_ID, issuer, [CLAIM])
    with world.database.transaction() as first:
        ready = claim_ready(first, [OperationKind.ADD_CLAIM], 2)
        assert [each.id for each in ready] == [operation.id]
        with world.database.transaction() as second:
            second.execute(text("SET LOCAL lock_timeout = '2s'"))
            sign_claims(second, world.chain, [operation], typed)
    assert find(market, operation).state == OperationState.PLANNED


def test_claim__signed_again_since_the_node_refused__counts_once(market: Market) -> None:
    class Troubled(ChainClient):
        def estimate_gas(self, *_: object, **__: object) -> int:
            raise RpcRefused("eth_estimateGas", -32603, "Internal error", None)

    used = count(market.world.database, ClaimSignature)
    market = under(market, claims_per_day=used + 1)
    operation = claim(market, FIRST)
    troubled = market.world.through(Troubled(market.world.node.url, CHAIN_ID))
    for _ in range(3):
        troubled.turn()
    market.world.settle()
    assert find(market, operation).state == OperationState.FINAL

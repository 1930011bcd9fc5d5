"""What must not be sent is refused with its reason, and costs no nonce."""

from __future__ import annotations

import pytest

from chain.contracts.abi import contract
from chain.errors import RpcRefused, RpcUnavailable
from chain.node.client import ChainClient, hex_of
from registry.operation.models import (
    NonceStream,
    Operation,
    OperationAttempt,
    OperationKind,
    OperationState,
)
from registry.tokenization.models import TokenizationState
from tests.chain.faults import AfterEstimate, Capped, EstimatesLate
from tests.chain.market import FIRST, ISSUER, SECOND, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import count
from tests.chain.world import World

pytestmark = pytest.mark.chain

MINTS = (ISSUER, FIRST, SECOND)


def state_of(market: Market, operation: Operation) -> OperationState:
    (found,) = [each for each in market.world.operations() if each.id == operation.id]
    return found.state


def problem_of(market: Market, operation: Operation) -> dict[str, object]:
    (found,) = [each for each in market.world.operations() if each.id == operation.id]
    assert found.state == OperationState.REFUSED
    assert found.problem is not None
    assert found.ended_at is not None
    assert found.nonce is None
    return found.problem


def assert_no_nonce_was_burnt(market: Market) -> None:
    """Every nonce that was given is on chain, and the next one is the chain's next."""
    world = market.world
    sent = [each.nonce for each in world.operations() if each.nonce is not None]
    assert sorted(sent) == list(range(len(sent)))
    assert world.client.nonce(world.chain.platform.address) == len(sent)
    with world.database.reading() as session:
        stream = session.get_one(NonceStream, (CHAIN_ID, world.chain.platform.address))
        assert stream.next_nonce == len(sent)
    assert count(world.database, OperationAttempt) == len(sent)


def test_refusal__call_would_revert__shows_the_contracts_own_words(minted: Market) -> None:
    pause = minted.plan(OperationKind.PAUSE, "pause of a paused token")
    minted.world.settle()

    assert problem_of(minted, pause) == {
        "code": "call_would_revert",
        "detail": "The contract refuses this: Pausable: paused.",
        "selector": "0x08c379a0",
        "arguments": {},
    }
    assert_no_nonce_was_burnt(minted)


def test_refusal__holder_not_registered__mint_is_refused_and_the_others_go_on(
    market: Market,
) -> None:
    suite, wallet = market.suite(), market.wallet(FIRST)
    market.world.turn()
    market.world.node.mine()
    delete = contract("IdentityRegistry").functions["deleteIdentity"]
    market.world.node.act_as(suite.token, suite.registry, delete.encode(hex_of(wallet.address)))
    market.world.settle()

    problem = problem_of(market, market.find(OperationKind.MINT, FIRST))
    assert problem["detail"] == "The contract refuses this: Identity is not verified."
    assert market.find(OperationKind.MINT, SECOND).state == OperationState.FINAL
    assert wallet.address not in suite.on_chain().holders
    assert_no_nonce_was_burnt(market)


def test_refusal__something_is_pending__waits_for_it_before_it_judges(market: Market) -> None:
    wallet = str(market.wallet(FIRST).id)
    nothing = market.plan(OperationKind.MINT, "nothing", wallet_id=wallet, units="0")
    market.world.sender().send_planned()
    assert state_of(market, nothing) == OperationState.PLANNED
    (waits_for,) = [each.waits_for for each in market.world.operations() if each.waits_for]
    assert waits_for["code"] == "revert_in_doubt"
    assert "no value mint" in waits_for["detail"]

    market.world.settle()

    assert "no value mint" in str(problem_of(market, nothing)["detail"])


def test_refusal__nothing_pending__is_told_at_once(minted: Market) -> None:
    pause = minted.plan(OperationKind.PAUSE, "pause of a paused token")
    minted.world.settle()
    mint = minted.plan(
        OperationKind.REGISTER_IDENTITY,
        "registered already",
        wallet_id=str(minted.wallet(FIRST).id),
        country=586,
    )
    assert minted.world.turn() == 1
    assert "address stored already" in str(problem_of(minted, mint)["detail"])
    assert state_of(minted, pause) == OperationState.REFUSED


def test_refusal__dependents__are_refused_in_their_turn(minted: Market) -> None:
    pause = minted.plan(OperationKind.PAUSE, "pause of a paused token")
    unpause = minted.plan(OperationKind.UNPAUSE, "after it", after=[pause])
    last = minted.plan(OperationKind.PAUSE, "after that", after=[unpause])
    minted.world.settle()

    problem_of(minted, pause)
    for dependent, requires in ((unpause, pause), (last, unpause)):
        problem = problem_of(minted, dependent)
        assert problem["code"] == "dependency_failed"
        assert str(requires.id) in str(problem["remedy"])
    assert_no_nonce_was_burnt(minted)


def test_refusal__planned_once_more__is_a_new_operation_under_the_same_key(
    minted: Market,
) -> None:
    first = minted.plan(OperationKind.PAUSE, "the pause")
    minted.world.settle()
    unpause = minted.plan(OperationKind.UNPAUSE, "the unpause")
    minted.world.settle()

    second = minted.plan(OperationKind.PAUSE, "the pause")
    minted.world.settle()

    assert second.id != first.id
    assert minted.plan(OperationKind.PAUSE, "the pause").id == second.id
    assert state_of(minted, first) == OperationState.REFUSED
    assert [state_of(minted, each) for each in (unpause, second)] == [OperationState.FINAL] * 2


def test_guard__stay_order_before_signing__refuses_every_mint(market: Market) -> None:
    market.put_stay_order_in_force()
    market.world.settle()

    for person in MINTS:
        problem = problem_of(market, market.find(OperationKind.MINT, person))
        assert problem["code"] in {"asset_not_registered", "rules_refused"}
        registered = market.find(OperationKind.REGISTER_IDENTITY, person)
        assert registered.state == OperationState.FINAL
    assert market.suite().on_chain().supply == 0
    assert_no_nonce_was_burnt(market)


def test_guard__stay_order_between_estimate_and_signature__refuses_the_mint(
    market: Market,
) -> None:
    market.world.turn()
    market.world.node.mine()
    market.world.tracker().follow()

    late = AfterEstimate(market.world.node, market.put_stay_order_in_force)
    market.world.through(late).sender().send_planned()
    assert late.happened
    market.world.settle()

    assert {market.find(OperationKind.MINT, person).state for person in MINTS} == {
        OperationState.REFUSED
    }
    assert market.suite().on_chain().supply == 0


def test_guard__kyc_ran_out__refuses_registration_and_so_the_mint(market: Market) -> None:
    market.let_kyc_run_out(FIRST)
    market.world.settle()

    registration = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    assert problem_of(market, registration)["code"] == "kyc_not_passed"
    assert problem_of(market, market.find(OperationKind.MINT, FIRST))["code"] == "dependency_failed"
    assert market.find(OperationKind.MINT, SECOND).state == OperationState.FINAL
    assert_no_nonce_was_burnt(market)


def test_guard__kyc_ran_out_after_registration__refuses_the_mint(market: Market) -> None:
    market.world.turn()
    market.let_kyc_run_out(FIRST)
    market.world.settle()

    assert problem_of(market, market.find(OperationKind.MINT, FIRST))["code"] == "kyc_not_passed"
    assert market.tokenization().state == TokenizationState.MINTING


@pytest.mark.parametrize(
    "answer",
    [
        RpcRefused("eth_estimateGas", -32005, "daily request count exceeded", None),
        RpcRefused("eth_estimateGas", -32603, "Internal error", None),
        RpcRefused("eth_estimateGas", -32000, "header not found", None),
    ],
    ids=lambda answer: answer.message,
)
def test_refusal__node_is_at_fault__operation_stays_planned(
    market: Market, answer: RpcRefused
) -> None:
    class Troubled(ChainClient):
        def estimate_gas(self, *_: object, **__: object) -> int:
            raise answer

    troubled = market.world.through(Troubled(market.world.node.url, CHAIN_ID))
    troubled.sender().send_planned()
    assert market.world.count(OperationState.REFUSED) == 0
    assert market.world.count(OperationState.PLANNED) == 2 * len(MINTS)
    for person in MINTS:
        waits_for = market.find(OperationKind.REGISTER_IDENTITY, person).waits_for
        assert waits_for is not None
        assert waits_for["code"] == "node_refuses"
        assert answer.message in waits_for["detail"]

    market.world.turn()
    assert market.world.count(OperationState.BROADCAST) == len(MINTS)
    assert not [each for each in market.world.operations() if each.waits_for is not None]


def test_refusal__gas_above_what_a_call_may_take__is_refused_and_says_so(market: Market) -> None:
    market.world.through(Capped(market.world.node, 50_000)).settle()

    for person in MINTS:
        problem = problem_of(market, market.find(OperationKind.REGISTER_IDENTITY, person))
        assert problem["code"] == "call_out_of_gas"
        assert "gas required exceeds allowance (50000)" in str(problem["detail"])
    assert_no_nonce_was_burnt(market)


def test_refusal__gas_above_what_a_block_holds__is_refused_and_says_so(market: Market) -> None:
    market.world.node.rpc("evm_setBlockGasLimit", hex(25_000))
    market.world.node.mine()
    market.world.settle()

    for person in MINTS:
        problem = problem_of(market, market.find(OperationKind.REGISTER_IDENTITY, person))
        assert problem["code"] == "call_out_of_gas"
    assert_no_nonce_was_burnt(market)


def test_refusal__node_is_away__operation_stays_planned(market: Market) -> None:
    class Away(ChainClient):
        def estimate_gas(self, *_: object, **__: object) -> int:
            raise RpcUnavailable("connection refused")

    away = market.world.through(Away(market.world.node.url, CHAIN_ID))
    with pytest.raises(RpcUnavailable):
        away.sender().send_planned()
    market.world.settle()

    assert market.world.count(OperationState.REFUSED) == 0
    assert market.suite().on_chain().supply == 1_000


def test_refusal__only_an_older_state_reverts__waits_for_the_node(market: Market) -> None:
    world = market.world
    world.turn()
    world.node.mine()
    # The registrations are mined; the node that estimates has not seen them.
    late = world.through(EstimatesLate(world.node, 1))
    late.turn()
    mints = [each for each in world.operations() if each.kind == OperationKind.MINT]
    assert {each.state for each in mints} == {OperationState.PLANNED}
    told = [each.waits_for for each in world.operations() if each.waits_for is not None]
    assert {each["code"] for each in told} == {"node_behind"}
    assert len(told) == len(mints)

    world.settle()
    assert {state_of(market, each) for each in mints} == {OperationState.FINAL}


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("0x5f5ffd", id="says no reason"),
        pytest.param("0x60aa5f52600160 1ffd".replace(" ", ""), id="says one"),
        pytest.param("0xfe", id="does not exist as an instruction"),
    ],
)
@pytest.mark.parametrize("once", [True, False])
def test_estimate__contract_stops__is_no_refusal_of_the_node(
    empty: World, code: str, *, once: bool
) -> None:
    contract_at = b"\x42" * 20
    empty.node.rpc("anvil_setCode", hex_of(contract_at), code)
    with pytest.raises(RpcRefused) as refused:
        empty.client.estimate_gas(contract_at, b"", sender=contract_at[::-1], once=once)
    assert refused.value.is_revert or refused.value.is_out_of_gas

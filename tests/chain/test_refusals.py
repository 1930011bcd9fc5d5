"""What must not be sent is refused with its reason, and costs no nonce."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from chain.client import ChainClient
from chain.errors import RpcRefused, RpcUnavailable
from registry.operation.models import (
    NonceStream,
    Operation,
    OperationAttempt,
    OperationKind,
    OperationState,
)
from registry.tokenization.models import TokenizationState
from tests.chain.market import FIRST, ISSUER, SECOND, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import count

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


def test_refusal__call_would_revert__shows_the_contracts_own_words(market: Market) -> None:
    pause = market.plan(OperationKind.PAUSE, "pause of a paused token")
    market.world.settle()

    assert problem_of(market, pause) == {
        "code": "call_would_revert",
        "detail": "The contract refuses this: Pausable: paused.",
        "selector": "0x08c379a0",
        "arguments": {},
    }
    assert_no_nonce_was_burnt(market)


def test_refusal__holder_not_registered__mint_is_refused_and_the_others_go_on(
    market: Market,
) -> None:
    suite, wallet = market.suite(), market.wallet(FIRST)
    market.world.turn()
    market.world.node.mine()
    early = market.plan(OperationKind.MINT, "early", wallet_id=str(wallet.id), units="1")
    market.let_go_of(wallet)
    market.world.settle()

    assert "Identity is not verified" in str(problem_of(market, early)["detail"])
    assert market.find(OperationKind.MINT, SECOND).state == OperationState.FINAL
    assert wallet.address not in suite.on_chain().holders
    assert_no_nonce_was_burnt(market)


def test_refusal__something_is_pending__waits_for_it_before_it_judges(market: Market) -> None:
    wallet = str(market.wallet(FIRST).id)
    nothing = market.plan(OperationKind.MINT, "nothing", wallet_id=wallet, units="0")
    market.world.sender().send_planned()
    assert state_of(market, nothing) == OperationState.PLANNED

    market.world.settle()

    assert "no value mint" in str(problem_of(market, nothing)["detail"])


def test_refusal__nothing_pending__is_told_at_once(market: Market) -> None:
    pause = market.plan(OperationKind.PAUSE, "pause of a paused token")
    market.world.settle()
    mint = market.plan(
        OperationKind.REGISTER_IDENTITY,
        "registered already",
        wallet_id=str(market.wallet(FIRST).id),
        country=586,
    )
    assert market.world.turn() == 1
    assert "address stored already" in str(problem_of(market, mint)["detail"])
    assert state_of(market, pause) == OperationState.REFUSED


def test_refusal__dependents__are_refused_in_their_turn(market: Market) -> None:
    pause = market.plan(OperationKind.PAUSE, "pause of a paused token")
    unpause = market.plan(OperationKind.UNPAUSE, "after it", after=[pause])
    last = market.plan(OperationKind.PAUSE, "after that", after=[unpause])
    market.world.settle()

    problem_of(market, pause)
    for dependent, requires in ((unpause, pause), (last, unpause)):
        problem = problem_of(market, dependent)
        assert problem["code"] == "dependency_failed"
        assert str(requires.id) in str(problem["remedy"])
    assert_no_nonce_was_burnt(market)


def test_refusal__planned_once_more__is_a_new_operation_under_the_same_key(
    market: Market,
) -> None:
    first = market.plan(OperationKind.PAUSE, "the pause")
    market.world.settle()
    unpause = market.plan(OperationKind.UNPAUSE, "the unpause")
    market.world.settle()

    second = market.plan(OperationKind.PAUSE, "the pause")
    market.world.settle()

    assert second.id != first.id
    assert market.plan(OperationKind.PAUSE, "the pause").id == second.id
    assert state_of(market, first) == OperationState.REFUSED
    assert [state_of(market, each) for each in (unpause, second)] == [OperationState.FINAL] * 2


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


class During(ChainClient):
    """A node that lets something happen just after a call was found to be good."""

    def __init__(self, url: str, happens: Callable[[], None]) -> None:
        super().__init__(url, CHAIN_ID)
        self._happens: Callable[[], None] | None = happens

    def estimate_gas(self, to: bytes | None, data: bytes, *, sender: bytes) -> int:
        gas = super().estimate_gas(to, data, sender=sender)
        happens, self._happens = self._happens, None
        if happens:
            happens()
        return gas


def test_guard__stay_order_between_estimate_and_signature__refuses_the_mint(
    market: Market,
) -> None:
    while market.find(OperationKind.REGISTER_IDENTITY, ISSUER).state != OperationState.MINED:
        market.world.node.mine()
        market.world.sender().resend_forgotten()
        market.world.tracker().follow()
        if market.find(OperationKind.REGISTER_IDENTITY, ISSUER).state == OperationState.PLANNED:
            market.world.sender().send_planned()
    assert market.find(OperationKind.MINT, ISSUER).state == OperationState.PLANNED

    late = During(market.world.node.url, market.put_stay_order_in_force)
    market.world.through(late).sender().send_planned()
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

    market.world.settle()
    assert market.suite().on_chain().supply == 1_000
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

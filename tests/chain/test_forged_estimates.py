"""One of several nodes that refuses what belongs to the moment, or lies of it: it stops nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from chain.contracts.platform import plan_platform
from chain.errors import NoQuorum, RpcRefused
from chain.node import panel, pooled_node
from registry.operation.models import OperationState
from tests.chain.market import Market
from tests.chain.mirror import Lie, Mirror
from tests.chain.nodes import CHAIN_ID
from tests.chain.outcomes import assert_deployed_once, assert_each_once
from tests.chain.pools import mirrors, pool
from tests.chain.world import World

pytestmark = [pytest.mark.chain, pytest.mark.usefixtures("quickly", "second_look_at_once")]

ESTIMATES = ("eth_estimateGas", "eth_simulateV1")


@pytest.fixture
def three(market: Market) -> Iterator[list[Mirror]]:
    with mirrors(market.world.node, 3) as found:
        yield found


def refusing(code: int, message: str, *methods: str) -> Lie:
    def lie(request: dict[str, Any], result: Any) -> Any:
        is_asked = request["method"] in methods or request["params"][-1:] == list(methods)
        return {"error": {"code": code, "message": message}} if is_asked else result

    return lie


@pytest.mark.parametrize(
    "lie",
    [
        refusing(-32601, "the method does not exist", *ESTIMATES),
        refusing(-32000, "missing trie node", *ESTIMATES),
        refusing(-32000, "pending is not available", "pending"),
        refusing(-32000, "gas required exceeds allowance (50000)", *ESTIMATES),
        refusing(3, "execution reverted", *ESTIMATES),
    ],
    ids=["unknown", "no state", "no pending", "out of gas", "reverts"],
)
@pytest.mark.parametrize("batch_rows", [1, 100])
def test_sending__first_of_three_refuses__goes_on_by_the_others(
    market: Market, three: list[Mirror], lie: Lie, batch_rows: int
) -> None:
    three[0].lie = lie
    world = replace(market.world.through(pool(three)), batch_rows=batch_rows)
    ours = replace(market, world=world)

    # What waits for a node that says otherwise than the others goes on in a later turn.
    for _ in range(3):
        world.settle(impatient=True)
    assert {each.state for each in world.operations()} == {OperationState.FINAL}
    if batch_rows == 1:
        assert_each_once(ours)


def test_ask__all_refuse__is_refused(three: list[Mirror]) -> None:
    for node in three:
        node.lie = refusing(-32000, "gas required exceeds allowance", "eth_gasPrice")
    with pytest.raises(RpcRefused, match="allowance"):
        pool(three).request("eth_gasPrice")
    assert [node.count("eth_gasPrice") for node in three] == [1, 1, 1]


def test_ask__one_refuses_and_the_others_fail__is_not_believed(
    three: list[Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = pool(three)
    found.head()
    monkeypatch.setattr(panel, "FRESH_SECONDS", 60.0)
    monkeypatch.setattr(pooled_node, "FIRST_REST_SECONDS", 60.0)
    three[0].lie = refusing(-32000, "gas required exceeds allowance", "eth_gasPrice")
    three[1].status = three[2].status = 500
    with pytest.raises(NoQuorum) as fault:
        found.request("eth_gasPrice")
    assert fault.value.code == "too_few_nodes"


def test_deployment__first_of_three_says_that_creations_revert__goes_on(empty: World) -> None:
    with empty.database.transaction() as session:
        plan_platform(session, CHAIN_ID)
    with mirrors(empty.node, 3) as nodes:
        nodes[0].lie = refusing(3, "execution reverted", *ESTIMATES)
        world = empty.through(pool(nodes))
        # The first waits until another node is asked.
        world.turn()
        world.settle()
    assert_deployed_once(empty)

"""Several nodes: blocks that a tag bounds, and blocks to which not all of them have come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chain.errors import NoQuorum
from chain.node import panel
from chain.node.finality import final_height
from chain.node.nodes import NodePool
from chain.node.pooled_node import NodeState
from registry.operation.models import OperationState
from tests.chain.market import Market
from tests.chain.mirror import Lie, Mirror, forged
from tests.chain.pools import mirrors, pool, states
from tests.chain.suite import Suite

pytestmark = [pytest.mark.chain, pytest.mark.usefixtures("patiently")]

Header = dict[str, Any]


@pytest.fixture
def three(suite: Suite, three: list[Mirror]) -> list[Mirror]:
    """They have blocks that are final."""
    suite.world.node.mine(70)
    return three


def of_tag(change: Callable[[Header], Header]) -> Lie:
    def lie(request: dict[str, Any], told: Any) -> Any:
        is_tag = request["method"] == "eth_getBlockByNumber" and request["params"][0] == "finalized"
        return change(told) if is_tag else told

    return lie


def another(header: Header) -> Header:
    return header | {"hash": forged(header["hash"])}


def another_time(header: Header) -> Header:
    return header | {"timestamp": "0x1"}


def another_above(header: Header) -> Header:
    return another(header) | {"number": hex(int(header["number"], 16) + 3)}


def another_below(header: Header) -> Header:
    return another(header) | {"number": hex(int(header["number"], 16) - 3)}


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("change", [another, another_time, another_above, another_below])
def test_tag__one_of_three_gives_it_to_another_block__is_left_out_and_told(
    suite: Suite, three: list[Mirror], place: int, change: Callable[[Header], Header]
) -> None:
    three[place].lie = of_tag(change)
    found = pool(three)

    assert found.block("finalized") == suite.world.client.block("finalized")

    assert states(found)[place] == NodeState.INCONSISTENT
    assert states(found).count(NodeState.HEALTHY) == 2


def test_tag__one_of_three_claims_it_for_a_block_that_nobody_has__changes_nothing(
    suite: Suite, three: list[Mirror]
) -> None:
    three[0].lie = of_tag(lambda header: header | {"number": "0xffffff"})
    found = pool(three)

    head = found.block_number()
    assert final_height(found, "finalized", head) == final_height(
        suite.world.client, "finalized", head
    )


def test_tag__honest_nodes_are_not_as_far__is_the_lower_block_and_nobody_is_left_out(
    suite: Suite, three: list[Mirror]
) -> None:
    client = suite.world.client
    told = client.block("finalized")
    assert told is not None
    lower = client.request("eth_getBlockByNumber", hex(told.number - 2), False)
    for mirror in three[1:]:
        mirror.lie = of_tag(lambda _: lower)
    found = pool(three)

    assert found.block("finalized") == client.block(told.number - 2)
    assert states(found) == [NodeState.HEALTHY] * 3


def test_tag__two_give_it_to_blocks_of_their_own__nothing_is_final(three: list[Mirror]) -> None:
    three[0].lie, three[1].lie = of_tag(another), of_tag(another_time)

    with pytest.raises(NoQuorum):
        pool(three).block("finalized")


def restarted(nodes: list[Mirror]) -> NodePool:
    """A process that remembers nothing, while one node is away and another one has not come far."""
    head = nodes[0].node.client.head().number
    nodes[1].held_at, nodes[2].status = head - 3, 500
    return pool(nodes)


def test_headers__above_what_the_nodes_agree_on__are_no_reorg(three: list[Mirror]) -> None:
    found = restarted(three)
    head = three[0].node.client.head()
    assert found.block_number() == head.number - 3

    for ask in (found.headers, found.standing):
        with pytest.raises(NoQuorum) as fault:
            ask([head.number - 4, head.number - 1])
        assert fault.value.code == "nodes_behind"

    three[1].held_at = None
    assert (head.number, head.hash) in found.standing([head.number])


def test_tracker__restarted_before_the_nodes_have_caught_up__takes_nothing_back(
    market: Market,
) -> None:
    world = market.world
    world.turn()
    world.node.mine()
    world.tracker().follow()
    mined = world.count(OperationState.MINED)
    world.node.mine(2)
    assert mined > 0

    with mirrors(world.node, 3) as nodes:
        other = world.through(restarted(nodes))
        with pytest.raises(NoQuorum):
            other.tracker().follow()
        assert other.count(OperationState.MINED) == mined


def test_receipts__a_block_came_meanwhile__is_heard_of_before_they_are_judged(
    suite: Suite, three: list[Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(panel, "FRESH_SECONDS", 60.0)
    found = pool(three)
    found.head()
    truth = suite.mint(0, 7)

    assert found.receipts([truth.tx_hash]) == [truth]


def test_receipts__of_a_block_that_nobody_has_come_to__are_no_answer(
    suite: Suite, three: list[Mirror]
) -> None:
    truth = suite.mint(0, 7)
    told = suite.world.client.request("eth_getTransactionReceipt", "0x" + truth.tx_hash.hex())

    def early(request: dict[str, Any], result: Any) -> Any:
        return told if request["method"] == "eth_getTransactionReceipt" else result

    for mirror in three:
        mirror.held_at, mirror.lie = truth.block_number - 1, early

    with pytest.raises(NoQuorum) as fault:
        pool(three).receipts([truth.tx_hash])
    assert fault.value.code == "nodes_behind"

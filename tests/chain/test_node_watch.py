"""What is told of several nodes, and what waits while they do not agree."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest

from chain.errors import NoQuorum
from chain.node import quorum
from chain.node.node_watch import NodeRecorder, QuorumWait
from chain.node.nodes import connect
from registry.captable.nodes import NodeWatch, list_nodes
from registry.operation.models import OperationState
from tests.chain.market import Market
from tests.chain.mirror import Mirror, of_another_branch
from tests.chain.nodes import CHAIN_ID
from tests.chain.outcomes import assert_each_once
from tests.chain.world import World

pytestmark = [pytest.mark.chain, pytest.mark.usefixtures("quickly")]


@pytest.fixture
def two(market: Market) -> Iterator[list[Mirror]]:
    node = market.world.node
    with Mirror(node) as first, Mirror(node) as second:
        yield [first, second]


def through(world: World, nodes: list[Mirror]) -> World:
    return world.through(connect(",".join(node.url for node in nodes), CHAIN_ID))


def rows(world: World) -> list[NodeWatch]:
    with world.database.reading() as session:
        found = list(list_nodes(session, CHAIN_ID))
        session.expunge_all()
        return found


def told(world: World) -> set[str | None]:
    return {
        (row.waits_for or {}).get("code")
        for row in world.operations()
        if row.state == OperationState.PLANNED
    }


def turn(world: World, wait: QuorumWait) -> None:
    with wait.told():
        world.turn()


def test_recorder__how_they_stand__is_written_and_forgotten(
    market: Market, two: list[Mirror], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quorum, "YOUNG_SECONDS", -math.inf)
    world = through(market.world, two)
    recorder = NodeRecorder(world.database, world.client)
    world.client.check()
    recorder.record()
    assert [(row.position, row.state) for row in rows(world)] == [(1, "healthy"), (2, "healthy")]
    since = rows(world)[0].since

    two[1].held_at = 1
    world.client.head()
    recorder.record()

    first, second = rows(world)
    assert (first.is_healthy, first.since) == (True, since)
    assert (second.state, second.lag_blocks) == ("behind", world.client.block_number() - 1)
    assert second.detail.startswith("behind by")
    assert "127.0.0.1" in second.name
    NodeRecorder(world.database, market.world.client).record()
    assert rows(world) == []


def test_recorder__one_of_two_claims_too_much__is_told_and_nobody_is_left_out(
    market: Market, two: list[Mirror]
) -> None:
    """Its blocks are there, but the other node's newest is young: nothing says that it lags."""
    world = through(market.world, two)
    market.world.node.mine()
    two[0].held_at = market.world.client.block_number()
    market.world.node.mine(20)

    assert world.client.block_number() == two[0].held_at
    NodeRecorder(world.database, world.client).record()

    assert [row.state for row in rows(world)] == ["healthy", "ahead"]
    assert rows(world)[1].detail.startswith("20 blocks ahead")


def test_worker__nodes_disagree__says_so_in_every_operation_and_takes_it_back(
    market: Market, two: list[Mirror]
) -> None:
    world = through(market.world, two)
    wait = QuorumWait(world.database)
    two[1].lie = of_another_branch(2)

    for _ in range(2):
        with pytest.raises(NoQuorum):
            turn(world, wait)
    assert told(world) == {"nodes_disagree"}
    assert world.node.pool_size() == 0
    two[0].status = two[1].status = 500
    with pytest.raises(NoQuorum):
        turn(world, wait)
    assert told(world) == {"too_few_nodes"}

    two[0].status = two[1].status = 200
    two[1].lie = lambda _, result: result
    turn(world, wait)
    assert told(world) == {None}
    market.world.turn()
    assert_each_once(market)


def test_worker__started_again_after_the_nodes_agreed__says_it_no_more(
    market: Market, two: list[Mirror]
) -> None:
    world = through(market.world, two)
    two[1].lie = of_another_branch(2)
    with pytest.raises(NoQuorum):
        turn(world, QuorumWait(world.database))

    turn(market.world, QuorumWait(world.database))

    assert told(world) == {None}


def test_worker__other_reasons__stay(market: Market, two: list[Mirror]) -> None:
    with market.world.database.engine.begin() as connection:
        connection.exec_driver_sql(
            """UPDATE operation SET waits_for = '{"code": "signer_out_of_funds"}'"""
            " WHERE state = 'planned'"
        )
    world = through(market.world, two)
    two[1].lie = of_another_branch(2)
    with pytest.raises(NoQuorum):
        turn(world, QuorumWait(world.database))
    assert told(world) == {"signer_out_of_funds"}

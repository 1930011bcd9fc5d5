"""A node that is exchanged for one of another chain while the program runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from registry.operation.models import OperationState
from tests.chain.market import Market
from tests.chain.nodes import Node
from tests.chain.outcomes import everything
from tests.chain.test_worker import assert_market_is_exact, eventually, is_done, running
from tests.logs import captured_log

pytestmark = pytest.mark.chain

OTHER = 4242


def test_loops__node_serves_another_chain__everything_waits_and_goes_on(
    market: Market, tmp_path: Path
) -> None:
    world = market.world
    world.turn()
    world.node.mine()
    world.tracker().follow()
    assert world.count(OperationState.MINED) > 0
    before = {each.id: (each.state, each.nonce) for each in world.operations()}
    projected = everything(world.database)
    state = world.node.dump(tmp_path / "ours.json", history=True)
    world.node.kill()

    (tmp_path / "other").mkdir()
    with Node(tmp_path / "other", port=world.node.port, chain_id=OTHER) as other:
        with captured_log() as text, running(world):

            def told() -> set[str]:
                lines = map(json.loads, text.getvalue().splitlines())
                return {line["loop"] for line in lines if line.get("fault") == "WrongChain"}

            eventually(lambda: {"worker", "sync"} <= told())
            eventually(lambda: any(each.waits_for for each in world.operations()))
        assert other.transactions() == []
        assert other.pool_size() == 0

    assert {each.id: (each.state, each.nonce) for each in world.operations()} == before
    assert everything(world.database) == projected
    waiting = [each.waits_for for each in world.operations() if each.waits_for]
    assert {each["code"] for each in waiting} == {"wrong_chain"}
    assert str(OTHER) in waiting[0]["detail"]

    world.node.start(state=state)
    with running(world):
        eventually(lambda: is_done(world))
    assert_market_is_exact(market)
    assert not [each for each in world.operations() if each.waits_for]

"""What makes an operation final: so many blocks, or the tag of the node."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from chain.node.client import Block, BlockId, ChainClient
from chain.node.finality import NEVER, confirmations_needed
from chain.sending.tracker import Tracker
from registry.kernel.settings import Finality, Settings
from registry.operation.models import OperationKind, OperationState
from tests.chain.market import Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.world import World

pytestmark = pytest.mark.chain


def state_after(world: World, finality: Finality, blocks: int) -> OperationState:
    world.node.mine(blocks)
    Tracker(world.database, world.chain, finality=finality).follow()
    return world.find(OperationKind.PAUSE).state


@pytest.mark.parametrize(
    ("finality", "depth"),
    [(0, 0), (3, 3), ("safe", 32), ("finalized", 64)],
    ids=["at once", "three blocks", "safe", "finalized"],
)
def test_finality__block_by_block__final_exactly_when_it_says(
    minted: Market, finality: Finality, depth: int
) -> None:
    world = minted.world
    minted.plan(OperationKind.UNPAUSE, "first")
    world.settle()
    minted.plan(OperationKind.PAUSE, "second")
    world.turn()
    if depth:
        assert state_after(world, finality, 1) == OperationState.MINED
        if depth > 1:
            assert state_after(world, finality, depth - 1) == OperationState.MINED
    assert state_after(world, finality, 1) == OperationState.FINAL
    assert confirmations_needed(world.client, finality) == depth


class _KnowsNoTag(ChainClient):
    def block(self, block: BlockId) -> Block | None:
        return None if block == "finalized" else super().block(block)


def test_finality__node_has_nothing_final_yet__nothing_is(minted: Market) -> None:
    minted.plan(OperationKind.UNPAUSE, "first")
    world = minted.world.through(_KnowsNoTag(minted.world.node.url, CHAIN_ID))
    world.turn()
    world.node.mine(70)
    Tracker(world.database, world.chain, finality="finalized").follow()
    assert world.find(OperationKind.UNPAUSE).state == OperationState.MINED


def test_finality__node_is_away__the_api_claims_nothing_final(minted: Market) -> None:
    minted.world.node.kill()
    assert confirmations_needed(minted.world.client, "safe") == NEVER
    assert confirmations_needed(minted.world.client, 2) == 2


@pytest.mark.parametrize("name", ["FINALITY", "CONFIRMATIONS"])
@pytest.mark.parametrize(("text", "meant"), [("12", 12), ("0", 0), ("safe", "safe")])
def test_setting__either_name__is_read(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, meant: Finality
) -> None:
    monkeypatch.setenv(name, text)
    assert Settings().finality == meant


@pytest.mark.parametrize("text", ["-1", "latest", "1.5"])
def test_setting__neither_number_nor_tag__is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("FINALITY", text)
    with pytest.raises(ValidationError):
        Settings()

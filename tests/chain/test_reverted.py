"""Transactions that a block holds and the contract undid: they end, say why, and cost a nonce."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from chain.contracts.platform import platform_address
from chain.errors import (
    ChainError,
    NoQuorum,
    PolicyRefused,
    RpcRefused,
    RpcUnavailable,
    SignerRefused,
    SignerUnavailable,
)
from chain.node.client import BlockId, ChainClient, bytes_of, hex_of
from registry.kernel import failpoints
from registry.kernel.db import Database
from registry.operation.models import Operation, OperationKind, OperationState
from registry.tokenization import service as tokenizations
from registry.tokenization.models import Tokenization, TokenizationState
from tests.chain.faults import AfterEstimate, Away, LosesSends
from tests.chain.market import FIRST, Market, propose
from tests.chain.nodes import CHAIN_ID, Node
from tests.chain.outcomes import sent
from tests.chain.world import World

pytestmark = pytest.mark.chain

REVERT = "0x5f5ffd"
"""Code that reverts without a word."""


def now_of(world: World, operation: Operation) -> Operation:
    (found,) = (each for each in world.operations() if each.id == operation.id)
    return found


def two_unpauses(market: Market, *, one_block: bool) -> tuple[Operation, Operation]:
    """Send two unpauses that both looked good when they were signed, and mine them."""
    world = market.world
    first = market.plan(OperationKind.UNPAUSE, "first unpause")
    with pytest.raises(RpcUnavailable):
        world.through(LosesSends(world.node, arrives=False)).sender().send_planned()
    second = market.plan(OperationKind.UNPAUSE, "second unpause")
    assert world.sender().send_planned() == 1
    before, after = sent(world)[-2:]
    for attempt in (before,) if one_block else (after, before):
        if not one_block:
            world.node.drop_pool()
        if attempt is before:
            world.client.send_raw(attempt.raw)
    world.node.mine()
    if not one_block:
        world.client.send_raw(after.raw)
        world.node.mine()
    return first, second


@pytest.mark.parametrize("one_block", [True, False], ids=["same block", "later block"])
def test_reverted__state_changed_since_the_estimate__ends_with_the_reason(
    minted: Market, one_block: bool
) -> None:
    first, second = two_unpauses(minted, one_block=one_block)
    minted.world.settle()

    assert now_of(minted.world, first).state == OperationState.FINAL
    reverted = now_of(minted.world, second)
    assert reverted.state == OperationState.REVERTED
    assert reverted.ended_at is not None
    assert reverted.problem == {
        "code": "call_would_revert",
        "detail": "The contract refuses this: Pausable: not paused.",
        "selector": "0x08c379a0",
        "arguments": {},
        "tx_hash": hex_of(sent(minted.world)[-1].tx_hash),
    }
    assert minted.suite().on_chain().paused is False


def test_reverted__not_confirmed_yet__is_still_on_its_way(minted: Market) -> None:
    _, second = two_unpauses(minted, one_block=True)

    minted.world.turn()
    assert now_of(minted.world, second).state == OperationState.BROADCAST

    minted.world.node.mine()
    minted.world.turn()
    assert now_of(minted.world, second).state == OperationState.REVERTED


def die_at(world: World, point: str) -> None:
    """Take a turn in a process of its own, which is killed at a point of it."""
    child = os.fork()
    if child == 0:
        try:
            failpoints.arm(f"{point}:kill")
            own = replace(world, database=Database(world.database.url))
            own.through(ChainClient(world.node.url, CHAIN_ID)).turn()
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), "the point was not reached"
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("point", ["before_reverted_commit", "after_reverted_commit"])
def test_reverted__worker_killed_as_it_notes_it__ends_the_same_way(
    minted: Market, point: str
) -> None:
    world = minted.world
    first, second = two_unpauses(minted, one_block=True)
    world.node.mine()
    die_at(world, point)
    is_noted = now_of(world, second).state == OperationState.REVERTED
    assert is_noted == point.startswith("after")

    world.settle()
    pause = minted.plan(OperationKind.PAUSE, "a pause")
    world.settle()
    assert now_of(world, first).state == OperationState.FINAL
    reverted = now_of(world, second)
    assert reverted.state == OperationState.REVERTED
    assert (reverted.problem or {})["code"] == "call_would_revert"
    assert now_of(world, pause).nonce == (reverted.nonce or 0) + 1
    assert now_of(world, pause).state == OperationState.FINAL


def test_reverted__its_dependents__are_refused(minted: Market) -> None:
    _, second = two_unpauses(minted, one_block=True)
    dependent = minted.plan(OperationKind.PAUSE, "after the unpause", after=[second])
    minted.world.settle()

    refused = now_of(minted.world, dependent)
    assert refused.state == OperationState.REFUSED
    assert refused.problem is not None
    assert refused.problem["code"] == "dependency_failed"


def test_reverted__next_operation__takes_the_next_nonce(minted: Market) -> None:
    _, second = two_unpauses(minted, one_block=True)
    minted.world.settle()
    pause = minted.plan(OperationKind.PAUSE, "a pause")
    minted.world.settle()

    spent = now_of(minted.world, second).nonce
    assert spent is not None
    assert now_of(minted.world, pause).nonce == spent + 1
    assert now_of(minted.world, pause).state == OperationState.FINAL


def test_reverted__lost_with_its_block__does_not_hold_up_what_came_after(
    minted: Market,
) -> None:
    """Its nonce is free again, and every later one waits until something takes it."""
    world = minted.world
    before = world.client.head().number
    _, second = two_unpauses(minted, one_block=True)
    world.settle()
    pause = minted.plan(OperationKind.PAUSE, "a pause")
    world.settle()
    assert now_of(world, pause).state == OperationState.FINAL

    world.node.roll_back(world.client.head().number - before)
    world.settle(impatient=True)

    assert now_of(world, pause).state == OperationState.FINAL
    assert now_of(world, second).state == OperationState.DROPPED
    assert minted.suite().on_chain().paused is True


def claim_that_reverts(market: Market) -> Operation:
    """Send a claim to an issuer that refuses it by the time it is mined."""
    world = market.world
    issuer = hex_of(world.place("ClaimIssuer"))
    earlier = market.find(OperationKind.ADD_CLAIM, FIRST)
    claim = market.plan(OperationKind.ADD_CLAIM, "another claim", **earlier.params)
    breaks = AfterEstimate(world.node, lambda: world.node.rpc("anvil_setCode", issuer, REVERT))
    world.through(breaks).turn()
    assert now_of(world, claim).state == OperationState.BROADCAST
    return claim


@pytest.mark.parametrize(
    "fault",
    [
        SignerUnavailable("it does not answer"),
        SignerRefused("it is locked"),
        PolicyRefused({"detail": "not today"}),
    ],
    ids=["away", "locked", "forbidden"],
)
def test_reverted__another_key_would_have_to_sign_it_again__holds_nothing_up(
    minted: Market, fault: Exception
) -> None:
    world = minted.world
    claim = claim_that_reverts(minted)
    behind = minted.plan(OperationKind.UNPAUSE, "behind it")
    world.turn()
    world.node.mine(2)

    away = Away(world.chain.claim_signer, fault)
    replace(world, chain=replace(world.chain, claim_signer=away)).tracker().follow()

    assert now_of(world, claim).state == OperationState.REVERTED
    assert now_of(world, behind).state == OperationState.FINAL


class TellsNoReason(ChainClient):
    """A node that does not run calls of the past."""

    def __init__(self, node: Node, fault: ChainError) -> None:
        super().__init__(node.url, CHAIN_ID)
        self._fault = fault

    def call(
        self, to: bytes, data: bytes, *, sender: bytes | None = None, block: BlockId = "latest"
    ) -> bytes:
        del to, data, sender, block
        raise self._fault


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (RpcUnavailable("ReadTimeout: it took too long"), "the node gives no reason"),
        (NoQuorum("nodes_disagree", "they say different things"), "the node gives no reason"),
        (RpcRefused("eth_call", -32000, "missing trie node", None), "missing trie node"),
    ],
    ids=["away", "no quorum", "pruned"],
)
def test_reverted__node_does_not_tell_why__is_recorded_all_the_same(
    minted: Market, fault: ChainError, says: str
) -> None:
    world = minted.world
    _, second = two_unpauses(minted, one_block=True)
    world.node.mine()

    world.through(TellsNoReason(world.node, fault)).tracker().follow()

    reverted = now_of(world, second)
    assert reverted.state == OperationState.REVERTED
    assert says in (reverted.problem or {})["detail"]


def test_reverted__deployment_of_a_suite__can_be_asked_for_again(
    platform: World, tmp_path: Path
) -> None:
    world = platform
    proposal = propose(world, tmp_path / "documents")
    with world.database.reading() as session:
        factory = platform_address(session, CHAIN_ID, "TREXFactory")
    code = world.client.code(bytes_of(factory))
    first = proposal.deploy(world)
    breaks = AfterEstimate(world.node, lambda: world.node.rpc("anvil_setCode", factory, REVERT))
    world.through(breaks).turn()
    world.node.mine(2)
    world.turn()

    assert now_of(world, first).state == OperationState.REVERTED
    assert tokenization(world, first).state == TokenizationState.APPROVED

    world.node.rpc("anvil_setCode", factory, hex_of(code))
    second = proposal.deploy(world)
    world.settle()
    assert second.id != first.id
    assert now_of(world, second).state == OperationState.FINAL
    found = tokenization(world, second)
    assert found.state == TokenizationState.DEPLOYED
    assert found.suite == now_of(world, second).result


def tokenization(world: World, operation: Operation) -> Tokenization:
    with world.database.reading() as session:
        found = tokenizations.get_tokenization(session, operation.params["tokenization_id"])
        session.expunge_all()
        return found

"""Somebody else's transaction takes the nonce of what nobody wants to happen any more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.node.client import hex_of
from chain.sending.remedies import cancel_sent
from registry.case.models import CaseState
from registry.kernel.actor import THE_SYSTEM
from registry.operation.models import Operation, OperationKind, OperationState
from tests.chain.bench import Bench
from tests.chain.market import FIRST, Market
from tests.chain.test_rebuild import ELSEWHERE, rebuilt
from tests.chain.test_reverted import now_of
from tests.chain.test_taken_back_ends import failed_act, lose_blocks
from tests.chain.world import CONFIRMATIONS, PLATFORM, Hand, World

pytestmark = pytest.mark.chain


def take_nonce(world: World, operation: Operation) -> bytes:
    """Have a stranger with our key spend the operation's nonce, and a person accept that."""
    world.node.drop_pool()
    hand = Hand(world.node, PLATFORM)
    foreign = b""
    while world.client.nonce(hand.address) <= (operation.nonce or 0):
        foreign = hand.send(ELSEWHERE, b"\x01")
        world.node.mined(foreign)
    world.node.mine(CONFIRMATIONS)
    rebuilt(world, accept=True)
    return foreign


@pytest.mark.parametrize("is_asked_again", [True, False])
def test_lost_nonce__failed_before_and_taken_back__says_why_and_tells_what_waits_for_it(
    bench: Bench, is_asked_again: bool
) -> None:
    world = bench.market.world
    case_id, act, height = failed_act(bench)
    failed = now_of(world, act)
    lose_blocks(world, height, "CaseAgent")
    world.resend(at_start=True)
    assert now_of(world, act).state == OperationState.BROADCAST
    if is_asked_again:
        [anew] = bench.execute(case_id)

    foreign = take_nonce(world, failed)

    ended = now_of(world, act)
    assert ended.state == OperationState.REPLACED
    assert ended.problem == (failed.problem or {}) | {"replaced_by": hex_of(foreign)}
    assert bench.read(case_id).state == (
        CaseState.EXECUTING if is_asked_again else CaseState.INCOMPLETE
    )
    world.settle(impatient=True)
    if is_asked_again:
        assert now_of(world, anew).state == OperationState.FINAL
        assert bench.read(case_id).state == CaseState.EXECUTED


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_lost_nonce__of_a_batch__its_rows_are_sent_again_unless_a_person_cancelled_them(
    market: Market, is_cancelled: bool
) -> None:
    market = replace(market, world=replace(market.world, batch_rows=100))
    world = market.world
    world.turn()
    first = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    assert first.batch_id is not None
    [batch] = [each for each in world.operations() if each.id == first.batch_id]
    if is_cancelled:
        cancel_sent(world.database, world.chain, THE_SYSTEM, batch.id, reason="A mistake.")

    take_nonce(world, batch)
    world.settle(impatient=True)

    row = now_of(world, first)
    assert now_of(world, batch).state == OperationState.REPLACED
    if is_cancelled:
        assert (row.state, row.batch_id) == (OperationState.REPLACED, batch.id)
        assert row.problem is not None
        assert row.problem["code"] == "nonce_taken"
    else:
        assert row.state == OperationState.FINAL

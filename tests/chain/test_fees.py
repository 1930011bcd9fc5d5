"""Fees that rise above what was offered: more is offered on the same nonce, up to the ceiling."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from sqlmodel import col, select

from chain.errors import RpcRefused
from chain.node.client import ChainClient, hex_of
from chain.signing.envelope import read_signed
from chain.signing.policies import DEFAULT_POLICY, GWEI, FeePolicy, load_policy
from registry.operation import service as operations
from registry.operation.models import (
    Operation,
    OperationAttempt,
    OperationKind,
    OperationState,
)
from tests import sales
from tests.chain.market import FIRST, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.world import World

pytestmark = pytest.mark.chain

STUCK = 3
REGISTRATIONS = 3
DEAR = 100 * GWEI


def under(market: Market, **policy: Any) -> Market:
    """Give the same market under another policy of fees."""
    fees = FeePolicy(**{"stuck_blocks": STUCK} | policy)
    world = replace(market.world, chain=replace(market.world.chain, fees=fees))
    return replace(market, world=world)


def mine_dear(world: World, blocks: int, base_fee_wei: int = DEAR) -> None:
    """Mine blocks that are too dear for what was offered so far."""
    for _ in range(blocks):
        world.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(base_fee_wei))
        world.node.mine()


def cheap_again(world: World) -> None:
    world.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    world.node.mine()


def attempts_of(world: World, operation: Operation) -> Sequence[OperationAttempt]:
    with world.database.reading() as session:
        found = operations.list_attempts(session, operation)
        session.expunge_all()
        return found


def registrations(world: World) -> list[Operation]:
    every = [each for each in world.operations() if each.kind == OperationKind.REGISTER_IDENTITY]
    return sorted(every[-REGISTRATIONS:], key=lambda each: each.nonce or 0)


def assert_minted_once(market: Market) -> None:
    market.world.settle(impatient=True)
    assert {each.state for each in market.world.operations()} == {OperationState.FINAL}
    assert market.suite().on_chain().supply == sales.FRACTIONS
    assert not [each for each in market.world.operations() if each.waits_for is not None]


def test_stuck__after_some_blocks__is_offered_more_on_the_same_nonce(market: Market) -> None:
    market = under(market)
    world = market.world
    world.turn()
    mine_dear(world, STUCK - 1)
    assert world.turn() == 0, "it may only be slow"

    mine_dear(world, 1)
    assert world.turn() == REGISTRATIONS

    for operation in registrations(world):
        first, second = attempts_of(world, operation)
        before, after = read_signed(first.raw), read_signed(second.raw)
        assert (after.nonce, after.to, after.data) == (before.nonce, before.to, before.data)
        assert before.tip_wei is not None
        assert after.tip_wei is not None
        assert after.tip_wei * 100 >= before.tip_wei * 112
        assert after.max_fee_wei * 100 >= before.max_fee_wei * 112
    assert_minted_once(market)
    for operation in registrations(world):
        first, second = attempts_of(world, operation)
        assert first.block_number is None
        assert second.block_number is not None


def test_stuck__first_in_line__is_raised_and_those_behind_it_wait(market: Market) -> None:
    market = under(market)
    world = market.world
    world.turn()
    first, *behind = registrations(world)
    # Nobody takes the first, though it pays enough: only its place is asked for anew.
    world.node.rpc("anvil_dropTransaction", "0x" + attempts_of(world, first)[0].tx_hash.hex())
    world.node.mine(STUCK)

    assert world.turn() == 1

    assert len(attempts_of(world, first)) == 2
    assert [len(attempts_of(world, each)) for each in behind] == [1, 1]
    assert_minted_once(market)


@pytest.mark.parametrize("lost", [False, True], ids=["stays", "lost and mined anew"])
def test_bumped__the_older_attempt_is_mined__is_the_one_recorded(
    market: Market, lost: bool
) -> None:
    market = under(market)
    world = market.world
    world.turn()
    mine_dear(world, STUCK)
    world.turn()
    world.node.drop_pool()
    pairs = [attempts_of(world, operation) for operation in registrations(world)]
    cheap_again(world)
    for first, _ in pairs:
        world.client.send_raw(first.raw)
    world.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI))
    world.node.mine()
    world.tracker().follow()
    for operation in registrations(world):
        first, second = attempts_of(world, operation)
        assert operation.state == OperationState.MINED
        assert first.block_number is not None
        assert second.block_number is None
    if lost:
        world.node.roll_back(1)
        world.node.rpc("anvil_setNextBlockBaseFeePerGas", hex(GWEI))

    assert_minted_once(market)

    for operation in registrations(world):
        first, second = attempts_of(world, operation)
        recorded = second if lost else first
        assert [each.block_number is not None for each in (first, second)] == [not lost, lost]
        (receipt,) = world.client.receipts([recorded.tx_hash])
        assert receipt is not None
        assert receipt.block_hash == recorded.block_hash


def test_stuck__above_the_ceiling__waits_and_says_so(market: Market) -> None:
    market = under(market, ceiling_wei=DEAR // 2)
    world = market.world
    world.turn()
    mine_dear(world, STUCK)
    for _ in range(3):
        assert world.turn() == 0

    for operation in registrations(world):
        assert operation.state == OperationState.BROADCAST
        assert operation.problem is None
        assert operation.waits_for is not None
        assert operation.waits_for["code"] == "fee_above_ceiling"
        assert len(attempts_of(world, operation)) == 1

    cheap_again(world)
    assert_minted_once(market)


def test_new__above_the_ceiling__is_not_signed_until_fees_fall(market: Market) -> None:
    market = under(market, ceiling_wei=DEAR // 2)
    world = market.world
    mine_dear(world, 1)
    before = len(world.node.transactions())
    for _ in range(2):
        assert world.turn() == 0

    assert {each.state for each in registrations(world)} == {OperationState.PLANNED}
    assert {each.waits_for and each.waits_for["code"] for each in registrations(world)} == {
        "fee_above_ceiling"
    }
    cheap_again(world)
    assert len(world.node.transactions()) == before
    assert_minted_once(market)


def test_waiting__dearer_still__tells_the_figure_of_now(market: Market) -> None:
    market = under(market, ceiling_wei=DEAR // 2)
    world = market.world
    mine_dear(world, 1)
    world.turn()
    mine_dear(world, 1, base_fee_wei=3 * DEAR)
    world.turn()

    due = world.client.head().base_fee_wei
    for operation in registrations(world):
        assert operation.waits_for is not None
        asked = int(operation.waits_for["detail"].split("asks for ")[1].split()[0])
        assert asked > 2 * DEAR, due


def test_waiting__fees_fell_and_the_node_refuses__tells_of_the_node(market: Market) -> None:
    class Troubled(ChainClient):
        def estimate_gas(self, *_: object, **__: object) -> int:
            raise RpcRefused("eth_estimateGas", -32603, "Internal error", None)

    market = under(market, ceiling_wei=DEAR // 2)
    world = market.world
    mine_dear(world, 1)
    world.turn()
    cheap_again(world)
    world.through(Troubled(world.node.url, CHAIN_ID)).sender().send_planned()

    codes = [each.waits_for and each.waits_for["code"] for each in registrations(world)]
    assert set(codes) == {"node_refuses"}
    assert_minted_once(market)


def test_fees__whatever_happens__stay_below_the_ceiling(market: Market) -> None:
    ceiling = 250 * GWEI
    market = under(market, ceiling_wei=ceiling, bump_percent=50, stuck_blocks=1)
    world = market.world
    world.turn()
    for _ in range(12):
        mine_dear(world, 1, base_fee_wei=2 * ceiling)
        world.turn()
    cheap_again(world)
    assert_minted_once(market)
    with world.database.reading() as session:
        offered = session.exec(select(OperationAttempt.max_fee_wei)).all()
    assert max(offered) <= ceiling


def test_legacy__chain__gets_transactions_of_type_zero_and_more_when_stuck(
    market: Market,
) -> None:
    market = under(market, legacy=True)
    world = market.world
    world.turn()
    mine_dear(world, STUCK)
    assert world.turn() == REGISTRATIONS

    for operation in registrations(world):
        first, second = attempts_of(world, operation)
        for attempt in (first, second):
            assert attempt.raw[0] >= 0xC0, "an RLP list, no typed envelope"
            assert read_signed(attempt.raw).chain_id == CHAIN_ID
            assert attempt.tip_wei is None
        assert second.max_fee_wei * 100 >= first.max_fee_wei * 112
    assert_minted_once(market)


def test_node__without_history_of_fees__is_asked_for_its_newest_block_only(
    market: Market,
) -> None:
    class Forgetful(ChainClient):
        refused = 0

        def batch(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
            if any(method == "eth_feeHistory" for method, _ in calls):
                self.refused += 1
                raise RpcRefused("eth_feeHistory", -32601, "method not found", None)
            return super().batch(calls)

    forgetful = Forgetful(market.world.node.url, CHAIN_ID)
    through = market.world.through(forgetful)
    head = through.client.head()
    through.turn()

    assert forgetful.refused
    with through.database.reading() as session:
        newest = session.exec(
            select(OperationAttempt).order_by(col(OperationAttempt.signed_at).desc())
        ).first()
        assert newest is not None
        assert newest.max_fee_wei == 2 * head.base_fee_wei + GWEI
    assert_minted_once(market)


def test_bump__another_worker_was_first__is_made_once(market: Market) -> None:
    market = under(market)
    world = market.world
    world.turn()
    mine_dear(world, STUCK)
    assert world.resend() == REGISTRATIONS
    assert world.resend() == 0, "the new attempt has its own blocks to wait"
    assert [len(attempts_of(world, each)) for each in registrations(world)] == [2] * 3
    assert_minted_once(market)


def test_stuck__policy_forbids_it_by_now__waits_and_everything_else_is_sent(
    market: Market,
) -> None:
    """The operator has narrowed the policy and restarted: the first attempt may be mined yet."""
    market = under(market)
    world = market.world
    world.turn()
    mine_dear(world, STUCK)
    world.node.drop_pool()
    policy = json.loads(DEFAULT_POLICY.read_text("utf-8"))
    del policy["roles"]["agent"]["calls"]["RegistrationDesk"]
    narrow = type(load_policy()).model_validate(policy)
    narrowed = replace(world, chain=replace(world.chain, policy=narrow))
    wallet = market.wallet(FIRST)
    opening = {"wallet_id": str(wallet.id), "wallet": hex_of(wallet.address)}
    other = market.plan(OperationKind.CREATE_IDENTITY, "something else", (), **opening)

    narrowed.turn()

    for operation in registrations(world):
        assert operation.state == OperationState.BROADCAST
        assert operation.waits_for is not None
        assert operation.waits_for["code"] == "signer_contract_forbidden"
        assert len(attempts_of(world, operation)) == 1
    [sent] = [each for each in world.operations() if each.id == other.id]
    assert sent.state == OperationState.BROADCAST
    cheap_again(world)
    world.settle(impatient=True)
    assert {each.state for each in registrations(world)} == {OperationState.FINAL}

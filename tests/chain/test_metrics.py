"""What Prometheus is told of operations and of the keys that send them."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from api.metrics import observe
from chain.node.client import hex_of
from chain.sending.funds import FundsWatch
from registry.operation.models import OperationKind, OperationState
from tests.chain.market import FIRST, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.test_fees import STUCK, mine_dear, under
from tests.chain.world import PLATFORM, Hand, World

pytestmark = pytest.mark.chain


def look(world: World) -> None:
    FundsWatch(world.database, world.chain, wanted_operations=1).look()
    with world.database.reading() as session:
        observe(session, CHAIN_ID)


def value(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"milkiyat_{name}", labels)


def of_platform(world: World, name: str, **labels: str) -> float | None:
    signer = hex_of(world.chain.platform.address)
    address = next(
        sample.labels["signer"]
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == "milkiyat_signer_balance_wei"
        and sample.labels["signer"].lower() == signer
    )
    return value(name, signer=address, roles="deployer,agent,settlement", **labels)


def test_signer__transactions_on_their_way__show_as_gap_and_in_flight(market: Market) -> None:
    world = market.world
    used = world.client.nonce(world.chain.platform.address)
    sent = world.turn()
    look(world)
    assert sent > 1
    assert of_platform(world, "signer_in_flight") == sent
    assert of_platform(world, "signer_nonce_gap") == sent
    assert of_platform(world, "signer_nonce", side="chain") == used
    assert of_platform(world, "signer_nonce", side="ours") == used + sent

    world.settle()
    look(world)
    assert of_platform(world, "signer_in_flight") == 0
    assert of_platform(world, "signer_nonce_gap") == 0


def test_signer__key_used_elsewhere__gap_is_below_zero(minted: Market) -> None:
    world = minted.world
    Hand(world.node, PLATFORM).send(b"\x77" * 20, b"")
    world.node.mine()
    look(world)
    assert of_platform(world, "signer_nonce_gap") == -1


def test_operations__by_state__counted_with_the_oldest_of_each(market: Market) -> None:
    world = market.world
    look(world)
    assert value("operations", state="planned") == world.count(OperationState.PLANNED) > 0
    assert (value("operation_oldest_seconds", state="planned") or 0) > 0
    assert value("operation_oldest_seconds", state="broadcast") == 0
    before = value("operation_attempts") or 0

    sent = world.turn()
    look(world)
    assert value("operations", state="broadcast") == sent
    assert (value("operation_oldest_seconds", state="broadcast") or 0) > 0
    assert value("operation_attempts") == before + sent


def test_operations__refused__are_counted_by_code(minted: Market) -> None:
    world = minted.world
    wallet_id = str(minted.wallet(FIRST).id)
    minted.plan(OperationKind.MINT, "too late", wallet_id=wallet_id, units="1")
    minted.let_kyc_run_out(FIRST)
    world.turn()
    look(world)
    code = world.operations()[-1].problem
    assert code is not None
    assert value("operations_failed", state="refused", code=code["code"]) == 1
    assert value("operations", state="refused") == 1


def test_operations__stuck_and_raised__count_as_bumps(market: Market) -> None:
    market = under(market)
    world = market.world
    look(world)
    assert value("operation_fee_bumps") == 0
    world.turn()
    mine_dear(world, STUCK)
    raised = world.turn()
    look(world)
    assert raised > 0
    assert value("operation_fee_bumps") == raised
    assert value("operation_bumps") == raised

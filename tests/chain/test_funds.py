"""The money of the keys: told before it runs out, waited for when it has."""

from __future__ import annotations

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from api.metrics import observe
from chain.errors import RpcUnavailable
from chain.node.client import hex_of
from chain.sending.funds import FundsWatch
from registry.operation import service as operations
from registry.operation.models import OperationKind, OperationState
from tests.chain.faults import LosesSends
from tests.chain.market import FIRST, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.outcomes import assert_each_once
from tests.chain.world import World

pytestmark = pytest.mark.chain

WANTED = 100


def look(world: World) -> list[str]:
    """Look at every key; return the addresses that were warned of."""
    with capture_logs() as logs:
        FundsWatch(world.database, world.chain, wanted_operations=WANTED).look()
    return [entry["signer"] for entry in logs if entry["event"] == "signer_funds_low"]


def set_balance(world: World, address: bytes, wei: int) -> None:
    world.node.rpc("anvil_setBalance", hex_of(address), hex(wei))


def test_watch__enough_money__warns_of_nobody(market: Market) -> None:
    world = market.world
    assert look(world) == []
    with world.database.reading() as session:
        found = {each.signer: each for each in operations.list_signers(session, CHAIN_ID)}
    assert found.keys() == {signer.address for signer in world.chain.senders}
    platform = found[world.chain.platform.address]
    assert platform.balance_wei == int(
        world.node.rpc("eth_getBalance", hex_of(platform.signer), "latest"), 16
    )
    assert platform.roles == "deployer,agent,settlement"
    assert not platform.is_low


def test_watch__money_for_fewer_operations__warns_and_shows_in_the_metrics(
    market: Market,
) -> None:
    world = market.world
    look(world)
    address = world.chain.confirmer.address
    with world.database.reading() as session:
        (confirmer,) = (
            each for each in operations.list_signers(session, CHAIN_ID) if each.signer == address
        )
        cost = confirmer.operation_cost_wei
    set_balance(world, address, (WANTED - 1) * cost)

    assert look(world) == [hex_of(address)]

    with world.database.reading() as session:
        observe(session, CHAIN_ID)
    lines = generate_latest().decode().splitlines()
    (low,) = (
        line
        for line in lines
        if line.startswith("milkiyat_signer_funds_low{") and 'roles="confirmer"' in line
    )
    assert low.endswith(" 1.0")
    (left,) = (
        line
        for line in lines
        if line.startswith("milkiyat_signer_operations_left{") and 'roles="confirmer"' in line
    )
    assert float(left.split()[-1]) < WANTED
    set_balance(world, address, WANTED * 10 * cost)
    assert look(world) == []


def test_operation__key_out_of_money__says_why_while_planned_and_goes_on(market: Market) -> None:
    world = market.world
    address = world.chain.platform.address
    before = world.client.nonce(address)
    set_balance(world, address, 0)
    for _ in range(2):
        world.turn()
        world.node.mine()

    waiting = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    assert waiting.state == OperationState.PLANNED
    assert waiting.problem is None
    assert waiting.waits_for is not None
    assert waiting.waits_for["code"] == "signer_out_of_funds"
    assert hex_of(address) in waiting.waits_for["detail"]
    assert world.client.nonce(address) == before

    world.node.fund(address)
    world.turn()
    assert market.find(OperationKind.REGISTER_IDENTITY, FIRST).waits_for is None
    assert_each_once(market)


def test_purse__money_for_one__sends_one_and_the_next_waits(market: Market) -> None:
    world = market.world
    address = world.chain.platform.address
    look(world)
    with world.database.reading() as session:
        (platform,) = (
            each for each in operations.list_signers(session, CHAIN_ID) if each.signer == address
        )
    one = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    assert one.state == OperationState.PLANNED
    # What is promised to a transaction on its way is not there for the next one.
    world.turn()
    with world.database.reading() as session:
        attempt = operations.list_attempts(session, one)[-1]
        cost = attempt.gas * attempt.max_fee_wei
    assert platform.operation_cost_wei > 0
    set_balance(world, address, 3 * cost)
    wallet = str(market.wallet(FIRST).id)
    other = "0x" + "7" * 40
    late = market.plan(OperationKind.CREATE_IDENTITY, "late", wallet_id=wallet, wallet=other)
    world.turn()
    (found,) = [each for each in world.operations() if each.id == late.id]
    assert found.state == OperationState.PLANNED
    assert found.waits_for is not None
    assert found.waits_for["code"] == "signer_out_of_funds"


def test_key__money_gone_after_it_signed__says_why_and_goes_on_once_funded(market: Market) -> None:
    world = market.world
    address = world.chain.platform.address
    lost = world.through(LosesSends(world.node, arrives=False, times=100))
    with pytest.raises(RpcUnavailable):
        lost.turn()
    (signed,) = [each for each in world.operations() if each.state == OperationState.SIGNED]
    set_balance(world, address, 0)

    for _ in range(2):
        world.turn(at_start=True)
        world.node.mine()

    (stuck,) = [each for each in world.operations() if each.id == signed.id]
    assert stuck.nonce == signed.nonce
    assert stuck.problem is None
    assert stuck.waits_for is not None
    assert stuck.waits_for["code"] == "signer_out_of_funds"
    assert hex_of(address) in stuck.waits_for["detail"]

    world.node.fund(address)
    assert_each_once(market)
    assert not [each for each in world.operations() if each.waits_for]

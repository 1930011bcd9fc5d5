"""Sends of which nobody knows whether they arrived: the chain is asked, and nothing goes twice."""

from __future__ import annotations

import pytest

from chain.errors import NonceAhead, RpcRefused, RpcUnavailable
from chain.node.client import ChainClient, bytes_of, hex_of
from chain.sending.sender import MAX_IN_FLIGHT
from registry.operation.models import (
    OperationAttempt,
    OperationKind,
    OperationState,
)
from tests import sales
from tests.chain.faults import LosesSends
from tests.chain.market import FIRST, Deal, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.outcomes import assert_each_once, sent
from tests.chain.stage import Stage
from tests.chain.suite import count
from tests.chain.world import PLATFORM, Hand, World

pytestmark = pytest.mark.chain

REGISTRATIONS = 3


def last_sent(world: World, seconds_ago: int) -> None:
    with world.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE operation_attempt SET last_sent_at = last_sent_at"
            f" - interval '{seconds_ago} seconds'"
        )


@pytest.mark.parametrize("arrives", [True, False], ids=["arrived", "lost"])
@pytest.mark.parametrize("mined_meanwhile", [True, False], ids=["mined", "not mined"])
def test_send__timeout__goes_on_with_the_same_bytes(
    market: Market, arrives: bool, mined_meanwhile: bool
) -> None:
    world = market.world
    broken = LosesSends(world.node, arrives=arrives)
    with pytest.raises(RpcUnavailable):
        world.through(broken).sender().send_planned()
    assert world.count(OperationState.SIGNED) == 1
    assert world.node.pool_size() == int(arrives)
    if mined_meanwhile:
        world.node.mine()

    again = LosesSends(world.node, arrives=True, times=0)
    world.through(again).turn()

    is_on_chain = arrives and mined_meanwhile
    assert (broken.sent[0] in again.sent) is not is_on_chain
    assert_each_once(market)


def test_send__every_first_send_times_out__each_arrives_once(market: Market) -> None:
    world = market.world
    for _ in range(40):
        flaky = world.through(LosesSends(world.node, arrives=True))
        try:
            flaky.turn(at_start=True)
        except RpcUnavailable:
            world.node.mine()
    assert_each_once(market)


def test_send__already_known__is_followed_like_any_other(market: Market) -> None:
    world = market.world
    world.turn()
    before = sent(world)
    with pytest.raises(RpcRefused, match="already"):
        world.client.send_raw(before[-1].raw)

    for _ in range(3):
        assert world.resend(at_start=True) == REGISTRATIONS

    assert world.node.pool_size() == REGISTRATIONS
    assert sent(world) == before
    assert_each_once(market)


def test_send__node_lost_its_pool__is_sent_again_after_a_while(market: Market) -> None:
    world = market.world
    world.turn()
    before = sent(world)
    world.node.drop_pool()

    assert world.resend() == 0, "it may only be slow"
    last_sent(world, seconds_ago=16)
    assert world.resend() == REGISTRATIONS

    assert world.node.pool_size() == REGISTRATIONS
    assert sent(world) == before
    assert_each_once(market)


def test_send__node_lost_its_pool_and_we_begin__is_sent_again_at_once(market: Market) -> None:
    world = market.world
    world.turn()
    world.node.drop_pool()

    assert world.resend(at_start=True) == REGISTRATIONS
    assert_each_once(market)


def test_send__first_of_many_dropped__the_rest_wait_for_it(market: Market) -> None:
    world = market.world
    world.turn()
    first = sent(world)[-REGISTRATIONS]
    world.node.rpc("anvil_dropTransaction", hex_of(first.tx_hash))
    world.node.mine()
    assert world.tracker().follow() == 0
    assert world.sender().send_planned() == 0

    last_sent(world, seconds_ago=16)
    world.resend()
    world.node.mine()

    assert world.tracker().follow() == REGISTRATIONS
    assert_each_once(market)


def test_send__answer_names_another_hash__our_own_is_followed(market: Market) -> None:
    class Confused(ChainClient):
        def send_raw(self, raw: bytes) -> bytes:
            super().send_raw(raw)
            return b"\x99" * 32

    market.world.through(Confused(market.world.node.url, CHAIN_ID)).turn()
    assert_each_once(market)


def test_send__key_is_out_of_funds__waits_for_them(market: Market) -> None:
    world = market.world
    address = world.chain.platform.address
    world.node.rpc("anvil_setBalance", hex_of(address), "0x0")
    for _ in range(3):
        world.turn()
        world.node.mine()
    assert world.node.pool_size() == 0
    assert world.count(OperationState.REFUSED, OperationState.REVERTED) == 0

    world.node.fund(address)
    world.turn(at_start=True)
    assert_each_once(market)


def test_send__more_than_may_be_in_flight__go_in_portions(minted: Market) -> None:
    world = minted.world
    wallet = minted.wallet(FIRST)
    # To open an identity that stands already is no error, however often.
    opening = {"wallet_id": str(wallet.id), "wallet": hex_of(wallet.address)}
    for number in range(MAX_IN_FLIGHT + 6):
        minted.plan(OperationKind.CREATE_IDENTITY, f"identity {number}", (), **opening)

    assert world.sender().send_planned() == MAX_IN_FLIGHT
    assert world.sender().send_planned() == 0
    world.node.mine(2)
    assert world.tracker().follow() == MAX_IN_FLIGHT
    assert world.sender().send_planned() == 6


# -- a key that is used elsewhere ------------------------------------------------------------


def foreign(world: World) -> bytes:
    """Let somebody else who has our key send something, and mine it."""
    factory = bytes_of("0x" + "42" * 20)
    hash_of_it = Hand(world.node, PLATFORM).send(factory, b"")
    world.node.mined(hash_of_it)
    return hash_of_it


def test_nonce__key_used_elsewhere__stops_all_sending(market: Market) -> None:
    world = market.world
    before = sent(world)
    foreign(world)

    with pytest.raises(NonceAhead) as ahead:
        world.turn()

    assert ahead.value.chain_nonce == ahead.value.next_nonce + 1
    assert sent(world) == before
    assert world.node.pool_size() == 0
    assert world.count(OperationState.PLANNED) == 2 * REGISTRATIONS


def test_nonce__old_backup_restored__sends_nothing(
    minted: Market, market_stage: tuple[Stage, Deal]
) -> None:
    world = minted.world
    on_chain = world.node.transactions()
    stage, _ = market_stage
    with stage.databases.copied(stage.template) as backup:
        restored = World(world.node, backup, world.chain)
        before = sent(restored)
        for _ in range(3):
            with pytest.raises(NonceAhead):
                restored.turn(at_start=True)
        assert sent(restored) == before
    assert world.node.mine() is not None
    assert world.node.transactions() == on_chain
    assert minted.suite().on_chain().supply == sales.FRACTIONS


def test_nonce__ours_taken_by_another_transaction__is_never_bound_to_a_new_one(
    market: Market,
) -> None:
    world = market.world
    with pytest.raises(RpcUnavailable):
        world.through(LosesSends(world.node, arrives=False)).sender().send_planned()
    (signed,) = (each for each in world.operations() if each.state == OperationState.SIGNED)
    foreign(world)

    for _ in range(5):
        world.turn(at_start=True)
        world.node.mine()

    (found,) = (each for each in world.operations() if each.id == signed.id)
    assert (found.signer, found.nonce) == (signed.signer, signed.nonce)
    assert found.state in {OperationState.SIGNED, OperationState.BROADCAST}
    assert count(world.database, OperationAttempt, OperationAttempt.operation_id == found.id) == 1
    dependent = world.find(OperationKind.MINT, wallet_id=found.params["wallet_id"])
    assert dependent.state == OperationState.PLANNED

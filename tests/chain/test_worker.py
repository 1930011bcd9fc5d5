"""The two loops as they run beside the API, with the world falling apart around them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import requests
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from chain.contracts.platform import STEPS
from chain.node.client import hex_of
from chain.sending.loop import REST_SECONDS
from chain.sending.pool import MAX_IN_FLIGHT
from chain.worker import run_sync, run_worker
from registry.captable.models import Reconciliation
from registry.kernel.errors import Unavailable
from registry.operation.models import Operation, OperationKind, OperationState
from tests import sales
from tests.chain.market import FIRST, Deal, Market
from tests.chain.nodes import Node
from tests.chain.outcomes import assert_deployed_once, assert_each_once
from tests.chain.stage import Stage
from tests.chain.suite import count, cursor_of
from tests.chain.world import CONFIRMATIONS, World

pytestmark = pytest.mark.chain

PATIENCE_SECONDS = 180
"""Two programs that start take half a minute where three others run; quiet, thirteen seconds."""

BLOCK_SECONDS = 0.03


def eventually(look: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with contextlib.suppress(OperationalError, Unavailable):
            if look():
                return
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def mine_until(stop: threading.Event, node: Node, mining: threading.Lock) -> None:
    """Mine like a network does, with or without transactions, while the node is there."""
    body = {"jsonrpc": "2.0", "id": 1, "method": "evm_mine", "params": []}
    with requests.Session() as session:
        while not stop.wait(BLOCK_SECONDS):
            with mining, contextlib.suppress(requests.RequestException):
                session.post(node.url, json=body, timeout=5)


@contextlib.contextmanager
def running(world: World, *, sync: bool = True) -> Iterator[threading.Lock]:
    """Run both loops, and a network that mines except while somebody else holds the lock."""
    stop, stop_mining, mining = threading.Event(), threading.Event(), threading.Lock()
    threads = [
        threading.Thread(
            target=run_worker,
            args=(world.database, world.chain, stop),
            kwargs={"finality": CONFIRMATIONS},
        ),
        *(
            [
                threading.Thread(
                    target=run_sync,
                    args=(world.database, world.client, stop),
                    kwargs={"finality": CONFIRMATIONS},
                )
            ]
            * sync
        ),
    ]
    miner = threading.Thread(target=mine_until, args=(stop_mining, world.node, mining))
    for thread in (miner, *threads):
        thread.start()
    try:
        yield mining
    finally:
        stop.set()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        stop_mining.set()
        miner.join(PATIENCE_SECONDS)
        assert not any(thread.is_alive() for thread in threads)


def is_done(world: World) -> bool:
    return world.count(OperationState.FINAL) == len(world.operations())


def assert_market_is_exact(market: Market) -> None:
    assert_each_once(market)
    suite = market.suite()
    suite.index()
    suite.assert_exact()
    assert suite.projected().supply == sales.FRACTIONS


def test_loops__fresh_database_and_chain__deploy_everything(empty: World) -> None:
    with running(empty):
        eventually(lambda: empty.count(OperationState.FINAL) == len(STEPS))
        eventually(lambda: cursor_of(empty.database).number > 0)
    assert_deployed_once(empty)


def test_loops__closed_sale__is_minted_projected_and_reconciled(market: Market) -> None:
    world = market.world
    with running(world):
        eventually(lambda: is_done(world))
        eventually(lambda: count(world.database, Reconciliation) > 0)
    assert_market_is_exact(market)


def test_worker__operation_committed__is_sent_at_once(market: Market) -> None:
    world = market.world
    with running(world, sync=False):
        eventually(lambda: is_done(world))
        for number in range(3):
            # By then the worker has gone to sleep, for longer than it will take.
            time.sleep(0.1)
            planned = time.monotonic()
            kind = OperationKind.UNPAUSE if number % 2 == 0 else OperationKind.PAUSE
            market.plan(kind, f"call {number}")
            eventually(lambda: world.count(OperationState.PLANNED) == 0)
            assert time.monotonic() - planned < REST_SECONDS - 0.5
            eventually(lambda: is_done(world))


def test_worker__told_to_stop__ends_soon(platform: World) -> None:
    with running(platform):
        time.sleep(0.3)
        asked = time.monotonic()
    assert time.monotonic() - asked < REST_SECONDS - 0.5


@pytest.mark.parametrize("kept", [True, False], ids=["chain kept", "blocks lost"])
def test_loops__node_restarted__everything_ends_final(
    market: Market, market_stage: tuple[Stage, Deal], kept: bool
) -> None:
    world, stage = market.world, market_stage[0]
    with running(world) as mining:
        eventually(lambda: world.count(OperationState.PLANNED) == 0)
        with mining:
            state = world.node.dump(market.folder.parent / "now.json") if kept else stage.state
        world.node.kill()
        time.sleep(0.2)
        world.node.start(state=state)
        eventually(lambda: is_done(world))
    assert_market_is_exact(market)


def test_loops__node_comes_late__begin_when_it_is_there(
    market: Market, market_stage: tuple[Stage, Deal]
) -> None:
    world = market.world
    world.node.kill()
    with running(world):
        time.sleep(0.3)
        assert world.count(OperationState.PLANNED) == 6
        world.node.start(state=market_stage[0].state)
        eventually(lambda: is_done(world))
    assert_market_is_exact(market)


def test_loops__database_connections_cut_again_and_again__everything_ends_final(
    market: Market,
) -> None:
    world = market.world
    with running(world):
        for _ in range(15):
            cut_connections(world)
            time.sleep(0.1)
        eventually(lambda: is_done(world))
    assert_market_is_exact(market)


def cut_connections(world: World) -> None:
    """End every connection of the loops, whatever they are doing with it."""
    with contextlib.suppress(OperationalError), world.database.engine.connect() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )


def test_worker__key_used_elsewhere__all_that_could_be_sent_say_so(market: Market) -> None:
    world = market.world
    wallet = market.wallet(FIRST)
    opening = {"wallet_id": str(wallet.id), "wallet": hex_of(wallet.address)}
    for number in range(MAX_IN_FLIGHT):
        market.plan(OperationKind.CREATE_IDENTITY, f"identity {number}", (), **opening)
    world.node.act_as(world.chain.platform.address, b"\x42" * 20, b"")

    def told() -> int:
        return sum(each.waits_for is not None for each in world.operations())

    with running(world, sync=False):
        eventually(lambda: told() > 0)
    assert told() == MAX_IN_FLIGHT + 3, "the registrations, and no mint"


def test_worker__a_standstill_of_a_run_before_has_ended__nothing_says_so_any_more(
    market: Market,
) -> None:
    world = market.world
    with world.database.transaction() as session:
        for each in world.operations():
            if each.state == OperationState.PLANNED:
                session.get_one(Operation, each.id).waits_for = {
                    "code": "nonce_ahead",
                    "detail": "0xab has sent 7 transactions on chain, the database knows of 5.",
                }
    with running(world, sync=False) as mining, mining:
        # No block holds the registrations, so the mints stay planned.
        eventually(lambda: not any(each.waits_for for each in world.operations()))
        assert world.count(OperationState.PLANNED) == 3


def test_worker__key_used_elsewhere__sends_nothing_and_still_ends_soon(market: Market) -> None:
    world = market.world
    strange = b"\x42" * 20
    world.node.act_as(world.chain.platform.address, strange, b"")
    sent = len(world.node.transactions())
    with running(world, sync=False):
        eventually(lambda: any(each.waits_for for each in world.operations()))
        assert world.count(OperationState.PLANNED) == 6
        asked = time.monotonic()
    assert time.monotonic() - asked < REST_SECONDS
    told = [each.waits_for["code"] for each in world.operations() if each.waits_for is not None]
    assert set(told) == {"nonce_ahead"}
    assert len(world.node.transactions()) == sent

"""Two workers in processes of their own over one database: each operation once, whoever dies."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from eth_account import Account

from chain.node.client import hex_of
from registry.operation.models import OperationKind, OperationState
from tests.chain.market import FIRST, Market
from tests.chain.outcomes import assert_each_once, sent
from tests.chain.test_worker import eventually, is_done
from tests.chain.worker_process import KEYS, PASSWORD
from tests.chain.world import CLAIM_SIGNER, CONFIRMER, PLATFORM, World
from tests.e2e.program import Program, start

pytestmark = pytest.mark.chain

MORE = 40


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    folder = tmp_path / "keys"
    folder.mkdir()
    for name, account in zip(KEYS, (PLATFORM, CLAIM_SIGNER, CONFIRMER), strict=True):
        sealed = Account.encrypt(account.key, PASSWORD, "pbkdf2", 10)
        (folder / name).write_text(json.dumps(sealed))
    return folder


@contextlib.contextmanager
def workers(world: World, keys: Path, number: int) -> Iterator[list[Program]]:
    command = ["tests.chain.worker_process", world.database.url, world.node.url, str(keys)]
    started = [start(command, os.environ, keys.with_name("log")) for _ in range(number)]
    try:
        yield started
    finally:
        for each in started:
            each.terminate()
        for each in started:
            each.wait(30)


def mined_until_done(world: World) -> None:
    def look() -> bool:
        world.node.mine()
        return is_done(world)

    eventually(look)


def plan_more(market: Market) -> None:
    """Plan a lot that can go at once: an identity that stands already is opened again."""
    wallet = market.wallet(FIRST)
    opening = {"wallet_id": str(wallet.id), "wallet": hex_of(wallet.address)}
    for number in range(MORE):
        market.plan(OperationKind.CREATE_IDENTITY, f"identity {number}", (), **opening)


def assert_no_nonce_twice_and_no_gap(world: World) -> None:
    nonces = Counter(each.nonce for each in sent(world))
    assert set(nonces.values()) == {1}
    assert sorted(each for each in nonces if each is not None) == list(range(len(nonces)))
    assert world.client.nonce(world.chain.platform.address) == len(nonces)


def test_workers__two_at_once__each_operation_once(market: Market, keys: Path) -> None:
    world = market.world
    plan_more(market)
    with workers(world, keys, 2) as started:
        mined_until_done(world)
        assert [each.poll() for each in started] == [None, None]
    assert_no_nonce_twice_and_no_gap(world)
    assert_each_once(market)


def test_workers__one_is_killed__the_other_takes_its_work_over(market: Market, keys: Path) -> None:
    world = market.world
    plan_more(market)
    with workers(world, keys, 2) as (doomed, survivor):
        eventually(lambda: world.count(OperationState.SIGNED, OperationState.BROADCAST))
        doomed.kill()
        doomed.wait(30)
        mined_until_done(world)
        assert survivor.poll() is None
    assert_no_nonce_twice_and_no_gap(world)
    assert_each_once(market)

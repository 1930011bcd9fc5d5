"""One call for which somebody waits: sent by the shortest way, and as safely as any other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, col, select

from chain.errors import NonceAhead, RpcUnavailable
from chain.node.client import ChainClient, bytes_of, hex_of
from chain.sending.sender import Sender
from registry.kernel.db import Database
from registry.operation.models import Operation, OperationKind, OperationState
from tests.chain.faults import Breaks, LosesSends
from tests.chain.market import FIRST, SECOND, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.outcomes import sent
from tests.chain.world import PLATFORM, Hand, World

pytestmark = pytest.mark.chain


class Counted(Database):
    """A database whose transactions are counted."""

    def __init__(self, database: Database) -> None:
        super().__init__(database.url)
        self.transactions = 0

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        self.transactions += 1
        with super().transaction() as session:
            yield session


def plan_one(market: Market, person: int = FIRST) -> Operation:
    """Plan what changes nothing: to open an identity that stands already is no error."""
    wallet = market.wallet(person)
    opening = {"wallet_id": str(wallet.id), "wallet": hex_of(wallet.address)}
    return market.plan(OperationKind.CREATE_IDENTITY, f"once more {person}", (), **opening)


def hurry(world: World) -> int:
    return world.sender().send_planned(urgent=True)


def now_of(world: World, planned: Operation) -> Operation:
    (found,) = (each for each in world.operations() if each.id == planned.id)
    return found


def assert_not_sent(world: World, planned: Operation, next_nonce: int) -> None:
    """Nothing was signed, and the nonce goes to the next one."""
    found = now_of(world, planned)
    assert (found.nonce, found.signer) == (None, None)
    assert world.node.pool_size() == 0
    assert world.client.nonce(world.chain.platform.address) == next_nonce


def nonce_of(world: World) -> int:
    return world.client.nonce(world.chain.platform.address)


def test_short_way__one_is_ready__takes_two_transactions_and_two_round_trips(
    minted: Market,
) -> None:
    asked = []

    class Listens(ChainClient):
        def request(self, method: str, *params: object) -> object:
            asked.append(method)
            return super().request(method, *params)

        def batch(self, calls: object) -> list[object]:
            asked.append("batch")
            return super().batch(calls)  # type: ignore[arg-type]

    world = minted.world.through(Listens(minted.world.node.url, CHAIN_ID))
    counted = Counted(world.database)
    planned = plan_one(minted)
    following = nonce_of(minted.world)

    sender = Sender(counted, world.chain, world.chain.platform)
    assert sender.send_planned(urgent=True) == 1

    assert asked == ["batch", "eth_sendRawTransaction"]
    assert counted.transactions == 2, "one signs, one notes that it was sent"
    found = now_of(world, planned)
    assert (found.state, found.nonce) == (OperationState.BROADCAST, following)
    counted.dispose()
    minted.world.settle()
    assert now_of(world, planned).state == OperationState.FINAL


def test_short_way__several_are_ready__go_the_long_way(minted: Market) -> None:
    world = replace(minted.world, batch_rows=100)
    both = [plan_one(minted, person) for person in (FIRST, SECOND)]

    assert hurry(world) == len(both)

    carriers = {now_of(world, each).batch_id for each in both}
    assert len(carriers) == 1
    assert None not in carriers


def test_short_way__nothing_is_ready__does_nothing(minted: Market) -> None:
    assert hurry(minted.world) == 0


def test_short_way__call_would_revert__is_refused_and_burns_no_nonce(minted: Market) -> None:
    world = minted.world
    following = nonce_of(world)
    planned = minted.plan(OperationKind.PAUSE, "it is paused already")

    assert hurry(world) == 1

    found = now_of(world, planned)
    assert found.state == OperationState.REFUSED
    assert found.problem is not None
    assert found.problem["code"] == "call_would_revert"
    assert_not_sent(world, planned, following)
    following_one = plan_one(minted)
    assert hurry(world) == 1
    assert now_of(world, following_one).nonce == following


def test_short_way__register_forbids_it__is_refused_and_burns_no_nonce(minted: Market) -> None:
    world = minted.world
    following = nonce_of(world)
    minted.let_kyc_run_out(FIRST)
    wallet = minted.wallet(FIRST)
    planned = minted.plan(
        OperationKind.REGISTER_IDENTITY, "again", wallet_id=str(wallet.id), country=586
    )

    assert hurry(world) == 1

    found = now_of(world, planned)
    assert found.state == OperationState.REFUSED
    assert found.problem is not None
    assert found.problem["code"] == "kyc_not_passed"
    assert_not_sent(world, planned, following)


def test_short_way__key_cannot_pay__waits_for_money(minted: Market) -> None:
    world = minted.world
    following = nonce_of(world)
    planned = plan_one(minted)
    address = world.chain.platform.address
    world.node.rpc("anvil_setBalance", hex_of(address), "0x0")

    assert hurry(world) == 0

    waits = now_of(world, planned).waits_for
    assert waits is not None
    assert waits["code"] == "signer_out_of_funds"
    assert_not_sent(world, planned, following)
    world.node.fund(address)


def test_short_way__key_used_elsewhere__stops(minted: Market) -> None:
    world = minted.world
    planned = plan_one(minted)
    hand = Hand(world.node, PLATFORM)
    world.node.mined(hand.send(bytes_of("0x" + "42" * 20), b""))
    following = nonce_of(world)

    with pytest.raises(NonceAhead):
        hurry(world)

    assert_not_sent(world, planned, following)


def test_short_way__node_is_away__is_sent_when_it_is_back(minted: Market) -> None:
    world = minted.world
    planned = plan_one(minted)
    following = nonce_of(world)
    away = world.through(ChainClient("http://127.0.0.1:9", CHAIN_ID, timeout_seconds=1))

    with pytest.raises(RpcUnavailable):
        hurry(away)

    assert_not_sent(world, planned, following)
    assert hurry(world) == 1
    assert now_of(world, planned).nonce == following


@pytest.mark.parametrize("arrives", [True, False], ids=["arrived", "lost"])
def test_short_way__send_times_out__the_same_bytes_go_again(minted: Market, arrives: bool) -> None:
    world = minted.world
    planned = plan_one(minted)
    broken = LosesSends(world.node, arrives=arrives)

    with pytest.raises(RpcUnavailable):
        hurry(world.through(broken))

    assert now_of(world, planned).state == OperationState.SIGNED
    again = LosesSends(world.node, arrives=True, times=0)
    world.through(again).resend(at_start=True)
    assert again.sent == broken.sent
    world.settle()
    assert now_of(world, planned).state == OperationState.FINAL
    assert [each.raw for each in sent(world)].count(broken.sent[0]) == 1


@pytest.mark.parametrize("after", [True, False], ids=["committed", "not committed"])
def test_short_way__outcome_of_commit_unknown__happens_once(minted: Market, after: bool) -> None:
    world = minted.world
    planned = plan_one(minted)
    following = nonce_of(world)
    broken = Breaks(world.database, after=after, left=1)

    with pytest.raises(OperationalError):
        Sender(broken, world.chain, world.chain.platform).send_planned(urgent=True)
    broken.dispose()

    assert world.node.pool_size() == 0, "nothing is sent of which nobody knows that it is stored"
    assert (now_of(world, planned).state == OperationState.SIGNED) is after
    world.turn(at_start=True)
    world.settle()
    found = now_of(world, planned)
    assert (found.state, found.nonce) == (OperationState.FINAL, following)
    assert nonce_of(world) == following + 1


def test_short_way__another_worker_has_it__leaves_it_to_that_one(minted: Market) -> None:
    world = minted.world
    planned = plan_one(minted)
    with world.database.transaction() as other:
        other.exec(select(Operation).where(col(Operation.id) == planned.id).with_for_update()).one()
        assert hurry(world) == 0
    assert now_of(world, planned).state == OperationState.PLANNED
    assert hurry(world) == 1

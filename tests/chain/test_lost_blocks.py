"""A chain that loses blocks with our transactions: they are followed again, with the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlmodel import col, select

from chain.contracts.platform import STEPS, plan_platform
from chain.node.client import hex_of
from chain.sync.indexer import Indexer
from registry.offering.models import Order, OrderState
from registry.operation.models import (
    Operation,
    OperationAttempt,
    OperationKind,
    OperationState,
)
from registry.tokenization.models import TokenizationState
from tests import sales
from tests.chain.market import FIRST, HELD, Market, build
from tests.chain.nodes import CHAIN_ID
from tests.chain.outcomes import Sent, assert_each_once, sent
from tests.chain.suite import catch_up, cursor_of
from tests.chain.world import CONFIRMATIONS, World, address_of, key_of

pytestmark = pytest.mark.chain


def attempts(world: World) -> list[OperationAttempt]:
    with world.database.reading() as session:
        rows = session.exec(
            select(OperationAttempt)
            .join(Operation, col(OperationAttempt.operation_id) == col(Operation.id))
            .order_by(col(Operation.nonce))
        ).all()
        session.expunge_all()
        return list(rows)


def facts(market: Market) -> tuple[list[Sent], object, object]:
    """What must be the same before and after: bytes, nonces, addresses, what was found out."""
    results = [
        {name: value for name, value in operation.result.items() if name != "block_number"}
        for operation in market.world.operations()
    ]
    return sent(market.world), results, market.tokenization().suite


def assert_minted_once_and_projected(market: Market, indexer: Indexer) -> None:
    assert_each_once(market)
    catch_up(indexer)
    suite = market.suite()
    suite.assert_exact()
    assert suite.projected().holders == {
        address_of(key_of(person)): (units, 0) for person, units in HELD.items()
    }


def lose_by_rollback(market: Market, blocks: int) -> None:
    market.world.node.roll_back(blocks)


def lose_by_reorg(market: Market, blocks: int) -> None:
    """Replace them by as many empty ones: the head is as high as before."""
    market.world.node.rpc("anvil_reorg", blocks, [])
    market.world.node.drop_pool()


def mint_everything(market: Market) -> tuple[Indexer, int]:
    """Carry the sale out and project it; return how many blocks that took."""
    before = market.world.client.head().number
    indexer = Indexer(market.world.database, market.world.client)
    market.world.settle()
    catch_up(indexer)
    return indexer, market.world.client.head().number - before


@pytest.mark.parametrize("lose", [lose_by_rollback, lose_by_reorg])
def test_lost_tail__mints_were_final__the_same_bytes_make_them_final_again(
    market: Market, lose: Callable[[Market, int], None]
) -> None:
    indexer, blocks = mint_everything(market)
    before = facts(market)
    lose(market, blocks)
    assert market.suite().on_chain().supply == 0

    market.world.turn()
    assert market.world.count(OperationState.BROADCAST) == 6
    assert_minted_once_and_projected(market, indexer)

    assert facts(market) == before
    with market.world.database.reading() as session:
        states = {session.get_one(Order, order).state for order in market.deal.orders.values()}
    assert states == {OrderState.SETTLED}


def test_lost_tail__mined_again_before_we_look__is_followed_to_its_end_again(
    market: Market,
) -> None:
    """Every nonce is spent as before; it may have reverted there all the same."""
    indexer, blocks = mint_everything(market)
    before, world = facts(market), market.world
    world.node.roll_back(blocks)
    # Later than before: in blocks of other hashes.
    world.node.mine()
    head = world.client.head().number - 1
    lost = [attempt for attempt in attempts(world) if (attempt.block_number or 0) > head]
    for attempt in lost:
        world.client.send_raw(attempt.raw)
        world.node.mine()
    world.node.mine(CONFIRMATIONS)

    world.resend()
    assert world.count(OperationState.BROADCAST) == 6
    world.settle()

    assert facts(market) == before
    ended_in = {attempt.block_hash for attempt in lost}
    assert not ended_in & {attempt.block_hash for attempt in attempts(world)}
    assert_minted_once_and_projected(market, indexer)


def test_lost_tail__only_the_last_operation__is_followed_alone(market: Market) -> None:
    indexer, _ = mint_everything(market)
    wallet = market.wallet(FIRST)
    # Every fraction is minted; to open an identity that stands already is no error.
    opening = {"wallet_id": str(wallet.id), "wallet": hex_of(wallet.address)}
    extra = market.plan(OperationKind.CREATE_IDENTITY, "one more", (), **opening)
    market.world.settle()
    before = facts(market)
    head = market.world.client.head().number
    market.world.node.roll_back(head - (attempts(market.world)[-1].block_number or 0) + 1)

    market.world.resend()
    states = {operation.id: operation.state for operation in market.world.operations()}
    assert states.pop(extra.id) == OperationState.BROADCAST
    assert set(states.values()) == {OperationState.FINAL}
    market.world.settle()
    catch_up(indexer)

    assert facts(market) == before
    market.suite().assert_exact()
    assert market.suite().projected().supply == sales.FRACTIONS


@pytest.fixture
def built_here(empty: World, tmp_path: Path) -> Market:
    """A market on a node that never loaded a dump: from one, no code can be rolled back to."""
    with empty.database.transaction() as session:
        plan_platform(session, CHAIN_ID)
    empty.settle()
    Indexer(empty.database, empty.client).advance()
    return Market(empty, build(empty, tmp_path / "documents"), tmp_path / "documents")


def test_lost_tail__suite_and_identities_too__stand_at_the_same_addresses(
    built_here: Market,
) -> None:
    market = built_here
    indexer, _ = mint_everything(market)
    before, held = facts(market), market.suite().on_chain()
    head = market.world.client.head().number
    first = min(attempt.block_number or 0 for attempt in attempts(market.world)[len(STEPS) :])
    market.world.node.roll_back(head - first + 1)

    assert_minted_once_and_projected(market, indexer)

    assert facts(market) == before
    assert market.suite().on_chain() == held
    assert market.tokenization().state == TokenizationState.MINTING


def test_lost_tail__everything__is_built_again_from_the_first_nonce(market: Market) -> None:
    indexer, _ = mint_everything(market)
    before, held = facts(market), market.suite().on_chain()
    node = market.world.node
    node.kill()
    node.start()
    node.fund(market.world.chain.platform.address)
    assert node.client.nonce(market.world.chain.platform.address) == 0

    assert_minted_once_and_projected(market, indexer)

    assert facts(market) == before
    assert market.suite().on_chain() == held
    assert cursor_of(market.world.database).number == node.client.head().number


def test_lost_block__mined_not_final__is_mined_in_another_block(market: Market) -> None:
    world = market.world
    world.turn()
    world.node.mine()
    world.tracker().follow()
    assert world.count(OperationState.MINED) == 3
    mined_in = [attempt.block_hash for attempt in attempts(world)[-3:]]
    world.node.roll_back(1)
    world.node.mine(2)

    world.turn()
    assert world.count(OperationState.MINED) == 0
    assert_each_once(market)

    mined_later = [attempt.block_hash for attempt in attempts(world)]
    assert not set(mined_in) & set(mined_later)


def test_lost_block__mined_elsewhere_before_we_look__is_recorded_there(market: Market) -> None:
    world = market.world
    world.turn()
    world.node.mine()
    world.tracker().follow()
    before = attempts(world)[-3:]
    world.node.roll_back(1)
    world.node.mine(5)
    for attempt in before:
        world.client.send_raw(attempt.raw)
    world.node.mine()

    assert world.tracker().follow() == 3

    after = attempts(world)[-3:]
    head = world.client.head()
    assert {(each.block_number, each.block_hash) for each in after} == {(head.number, head.hash)}
    assert world.count(OperationState.MINED) == 3
    assert_each_once(market)


def test_lost_block__gone_and_pool_kept__is_found_by_its_hash(market: Market) -> None:
    world = market.world
    world.turn()
    world.node.mine()
    world.tracker().follow()
    world.node.rpc("anvil_rollback", 1)

    for _ in range(2):
        world.tracker().follow()
        world.resend()
    assert world.node.pool_size() == 3
    assert_each_once(market)

"""What had failed, and loses its block: it never happens after all, for others went on without it.

A reorg below what was final gives its nonce back. Its own bytes might succeed there; so an empty
call takes the nonce, and it ends as dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chain.contracts.abi import contract
from chain.errors import SignerRefused, SignerUnavailable
from chain.node.client import hex_of
from registry.offering import service as offerings
from registry.offering.minting import give_back_order
from registry.offering.models import Order, OrderState
from registry.operation import service as operations
from registry.operation.models import Operation, OperationKind, OperationState
from tests import sales
from tests.chain.faults import AfterEstimate, Away
from tests.chain.market import FIRST, HELD, Market
from tests.chain.test_batches import freeze, registered
from tests.chain.test_reverted import now_of
from tests.chain.world import World
from tests.factories import COMPLIANCE

pytestmark = pytest.mark.chain


def thaw(market: Market, person: int) -> None:
    data = (
        contract("Token")
        .functions["setAddressFrozen"]
        .encode(hex_of(market.wallet(person).address), False)
    )
    market.world.node.act_as(market.world.place("CaseAgent"), market.suite().token, data)


def reverted_mint(market: Market) -> tuple[Operation, int]:
    """Let FIRST's mint revert, for a reason that passes; and the height at which it was sent."""
    registered(market)
    world = market.world
    height = world.client.head().number
    # Alone: an estimate of another one must not be the one that the freeze comes after.
    mint = market.find(OperationKind.MINT, FIRST)
    others = [
        each.id
        for each in world.operations()
        if each.state == OperationState.PLANNED and each.id != mint.id
    ]
    set_states(world, others, OperationState.REFUSED)
    racing = AfterEstimate(world.node, lambda: freeze(market, FIRST))
    assert world.through(racing).sender().send_planned() == 1
    set_states(world, others, OperationState.PLANNED)
    world.settle()
    found = now_of(world, mint)
    assert found.state == OperationState.REVERTED
    assert "MintToFrozenWallet" in (found.problem or {})["detail"]
    return found, height


def set_states(world: World, ids: list[Any], state: OperationState) -> None:
    with world.database.transaction() as session:
        for each in ids:
            session.get_one(Operation, each).state = state


def mint_again(market: Market) -> None:
    with market.world.database.transaction() as session:
        [_] = offerings.close_and_mint(session, COMPLIANCE, market.deal.tokenization_id)


def give_back(market: Market) -> None:
    with market.world.database.transaction() as session:
        give_back_order(session, COMPLIANCE, market.deal.orders[FIRST], reason="The chain refused.")


def roll_back_to(world: World, height: int) -> None:
    world.node.roll_back(world.client.head().number - height)


def order_of(market: Market, person: int) -> Order:
    with market.world.database.reading() as session:
        found = session.get_one(Order, market.deal.orders[person])
        session.expunge_all()
        return found


def assert_dropped(market: Market, reverted: Operation) -> None:
    """It says why it failed, and what took its nonce: an empty call."""
    found = now_of(market.world, reverted)
    assert (found.state, found.nonce) == (OperationState.DROPPED, reverted.nonce)
    with market.world.database.reading() as session:
        last = operations.list_attempts(session, found)[-1]
    assert found.problem == (reverted.problem or {}) | {"dropped_by": hex_of(last.tx_hash)}
    (receipt,) = market.world.client.receipts([last.tx_hash])
    assert receipt is not None
    assert (receipt.succeeded, receipt.logs) == (True, ())


@pytest.mark.parametrize("go_on", [mint_again, give_back])
def test_reverted_mint__planned_anew_and_its_block_lost__is_minted_once(
    market: Market, go_on: Callable[[Market], None]
) -> None:
    reverted, height = reverted_mint(market)
    thaw(market, FIRST)
    go_on(market)
    market.world.settle()
    assert market.suite().on_chain().supply == sales.FRACTIONS

    roll_back_to(market.world, height)
    market.world.settle(impatient=True)

    assert market.suite().on_chain().supply == sales.FRACTIONS
    assert_dropped(market, reverted)
    mints = [
        each.state
        for each in market.world.operations()
        if each.kind == OperationKind.MINT and each.id != reverted.id
    ]
    assert mints == [OperationState.FINAL] * len(HELD)
    is_settled = order_of(market, FIRST).state == OrderState.SETTLED
    assert is_settled == (go_on is mint_again)


def test_reverted_mint__its_block_lost_before_it_is_planned_anew__is_planned_after_that(
    market: Market,
) -> None:
    reverted, height = reverted_mint(market)
    roll_back_to(market.world, height)
    market.world.settle(impatient=True)
    assert_dropped(market, reverted)
    assert order_of(market, FIRST).state == OrderState.MINTING
    assert market.suite().on_chain().supply == sales.FRACTIONS - HELD[FIRST]

    mint_again(market)
    market.world.settle()

    assert market.suite().on_chain().supply == sales.FRACTIONS
    assert order_of(market, FIRST).state == OrderState.SETTLED

    # Once more, and deeper: an empty call stays one.
    roll_back_to(market.world, height)
    market.world.settle(impatient=True)
    assert market.suite().on_chain().supply == sales.FRACTIONS
    assert now_of(market.world, reverted).state == OperationState.DROPPED


def test_reverted_mint__mined_and_reverted_again__is_never_sent_again_either(
    market: Market,
) -> None:
    """The second branch is lost as well: its own bytes would succeed in the third."""
    reverted, height = reverted_mint(market)
    world = market.world
    with world.database.reading() as session:
        [attempt] = operations.list_attempts(session, reverted)
        session.expunge_all()
    roll_back_to(world, height)
    freeze(market, FIRST)
    world.client.send_raw(attempt.raw)
    world.node.mine()
    world.turn()
    world.node.mine()
    world.turn()
    again = now_of(world, reverted)
    assert again.state == OperationState.REVERTED
    assert again.ended_at is not None

    roll_back_to(world, height)
    world.settle(impatient=True)

    assert_dropped(market, again)
    assert market.suite().on_chain().supply == sales.FRACTIONS - HELD[FIRST]


@pytest.mark.parametrize("fault", [SignerUnavailable("away"), SignerRefused("locked")])
def test_reverted_mint__its_key_does_not_sign__is_left_and_the_others_are_sent(
    market: Market, fault: Exception
) -> None:
    reverted, height = reverted_mint(market)
    world = market.world
    key = Away(world.chain.platform, fault)
    away = replace(world, chain=replace(world.chain, platform=key))
    roll_back_to(world, height)

    away.turn(at_start=True)

    assert now_of(world, reverted).state == OperationState.REVERTED
    behind = [each for each in world.operations() if (each.nonce or 0) > (reverted.nonce or 0)]
    assert {each.state for each in behind} == {OperationState.BROADCAST}
    world.settle(impatient=True)
    assert_dropped(market, reverted)
    assert market.suite().on_chain().supply == sales.FRACTIONS - HELD[FIRST]

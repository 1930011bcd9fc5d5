"""What waits does not hold up what could go: neither of another kind nor of another role."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.contracts.abi import contract
from chain.node.client import hex_of
from chain.sending.pool import MAX_IN_FLIGHT
from registry.operation.models import Operation, OperationKind, OperationState
from tests.chain.market import FIRST, HELD, ISSUER, SECOND, Market
from tests.chain.test_batches import freeze, registered
from tests.chain.test_signing_policy import under

pytestmark = pytest.mark.chain

CROWD = MAX_IN_FLIGHT + 6
"""More transactions than the one key may have on their way."""


@pytest.fixture
def crowded(market: Market) -> Market:
    """A key whose day is used up, with more mints that wait for the next one than it has room."""
    market = under(market, units_per_day=HELD[FIRST])
    market.world.settle()
    assert market.find(OperationKind.MINT, SECOND).state == OperationState.PLANNED
    wallet = str(market.wallet(FIRST).id)
    for number in range(CROWD):
        market.plan(OperationKind.MINT, f"one more {number}", wallet_id=wallet, units="1")
    market.world.turn()
    return market


def state_of(market: Market, operation: Operation) -> OperationState:
    (found,) = [each for each in market.world.operations() if each.id == operation.id]
    return found.state


def opened(market: Market) -> None:
    """Have the token opened by its agent, in a transaction of no key of ours."""
    unpause = contract("Token").functions["unpause"]
    agent = market.world.place("CaseAgent")
    market.world.node.act_as(agent, market.suite().token, unpause.encode())


def identity(market: Market, name: str) -> Operation:
    """Plan what the agent may always do: to open an identity that stands already is no error."""
    wallet = market.wallet(FIRST)
    known = {"wallet_id": str(wallet.id), "wallet": hex_of(wallet.address)}
    return market.plan(OperationKind.CREATE_IDENTITY, name, (), **known)


def test_crowd__a_day_is_used_up__what_is_planned_later_of_other_roles_and_kinds_goes(
    crowded: Market,
) -> None:
    opened(crowded)
    pause = crowded.plan(OperationKind.PAUSE, "the pause")
    later = identity(crowded, "later")
    crowded.world.settle()

    assert state_of(crowded, pause) == OperationState.FINAL
    assert state_of(crowded, later) == OperationState.FINAL
    waiting = [each for each in crowded.world.operations() if each.waits_for is not None]
    assert {each.waits_for["code"] for each in waiting if each.waits_for} == {
        "signer_limit_reached"
    }


def test_crowd__behind_it_another_kind_waits_for_its_node__is_tried_again(
    crowded: Market,
) -> None:
    later = identity(crowded, "later")
    with crowded.world.database.transaction() as session:
        session.get_one(Operation, later.id).waits_for = {"code": "node_refuses", "detail": ""}
    crowded.world.settle()

    assert state_of(crowded, later) == OperationState.FINAL


def test_crowd__in_a_role_in_which_order_counts__what_waits_is_not_overtaken(
    crowded: Market,
) -> None:
    opened(crowded)
    first = crowded.plan(OperationKind.PAUSE, "the pause")
    with crowded.world.database.transaction() as session:
        session.get_one(Operation, first.id).waits_for = {"code": "fee_above_ceiling", "detail": ""}
    second = crowded.plan(OperationKind.SET_TITLE_STATUS, "halt", status="HALT", root="00" * 32)
    crowded.world.settle()

    nonces = {each.id: each.nonce for each in crowded.world.operations()}
    before, after = nonces[first.id], nonces[second.id]
    assert before is not None
    assert after is not None
    assert before < after


def test_crowd__what_waits__is_still_tried_beside_what_comes_anew(crowded: Market) -> None:
    for number in range(CROWD):
        identity(crowded, f"anew {number}")
    market = under(crowded, units_per_day=None)
    market.world.turn()

    sent = [each for each in market.world.operations() if each.state == OperationState.BROADCAST]
    kinds = [each.kind for each in sent]
    assert len(kinds) == MAX_IN_FLIGHT
    assert set(kinds) == {OperationKind.MINT, OperationKind.CREATE_IDENTITY}


def test_batch__one_row_reverts_while_something_is_on_its_way__the_others_go_at_once(
    market: Market,
) -> None:
    fair = registered(replace(market, world=replace(market.world, batch_rows=100)))
    freeze(fair, FIRST)
    pending = identity(fair, "on its way")
    ours = replace(fair.world, batch_rows=1)
    with fair.world.database.transaction() as session:
        held = [each.id for each in fair.world.operations() if each.kind == OperationKind.MINT]
        for each in held:
            session.get_one(Operation, each).state = OperationState.DROPPED
    ours.sender().send_planned()
    assert state_of(fair, pending) == OperationState.BROADCAST
    with fair.world.database.transaction() as session:
        for each in held:
            session.get_one(Operation, each).state = OperationState.PLANNED

    fair.world.sender().send_planned()

    states = {person: fair.find(OperationKind.MINT, person).state for person in HELD}
    assert states == {
        ISSUER: OperationState.BROADCAST,
        FIRST: OperationState.PLANNED,
        SECOND: OperationState.BROADCAST,
    }
    fair.world.settle()
    assert fair.find(OperationKind.MINT, FIRST).state == OperationState.REFUSED

"""What a person may do with one operation, and that nothing ever happens twice by it."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

import pytest
from sqlmodel import col, select

from chain.node.client import hex_of
from chain.sending.remedies import cancel_planned, cancel_sent, retry
from registry.kernel.actor import Actor, Role
from registry.kernel.errors import Conflict, NotFound
from registry.operation.models import (
    Operation,
    OperationAttempt,
    OperationKind,
    OperationState,
)
from tests.chain.market import FIRST, Market
from tests.sales import FRACTIONS

pytestmark = pytest.mark.chain

PERSON = Actor("cli:amna", frozenset({Role.OPERATIONS}))
REASON = "ordered by mistake"


def again(market: Market, operation: Operation) -> Operation:
    (found,) = [each for each in market.world.operations() if each.id == operation.id]
    return found


def cancel(market: Market, operation: Operation) -> bool:
    with market.world.database.transaction() as session:
        return cancel_planned(session, PERSON, operation.id, reason=REASON)


def retried(market: Market, operation: Operation) -> Operation:
    with market.world.database.transaction() as session:
        found = retry(session, PERSON, operation.id)
        session.flush()
        session.expunge_all()
        return found


def test_cancel__planned__is_refused_and_its_dependents_too(market: Market) -> None:
    world = market.world
    registration = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    assert cancel(market, registration)
    world.settle()

    ended = again(market, registration)
    assert ended.state == OperationState.REFUSED
    assert ended.problem is not None
    assert (ended.problem["code"], ended.problem["reason"]) == ("operation_cancelled", REASON)
    mint = market.find(OperationKind.MINT, FIRST)
    assert (mint.state, mint.nonce) == (OperationState.REFUSED, None)
    with pytest.raises(Conflict, match="operation_ended"):
        cancel(market, registration)


def test_retry__what_was_cancelled__is_planned_once_under_its_key(market: Market) -> None:
    registration = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    with pytest.raises(Conflict, match="operation_not_failed"):
        retried(market, registration)
    cancel(market, registration)

    anew = retried(market, registration)

    assert (anew.key, anew.params) == (registration.key, registration.params)
    with pytest.raises(Conflict, match="operation_planned_anew"):
        retried(market, registration)
    market.world.settle()
    assert again(market, anew).state == OperationState.FINAL


def test_retry__before_its_dependents_are_refused__they_wait_for_the_new_one(
    market: Market,
) -> None:
    registration = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    mint = market.find(OperationKind.MINT, FIRST)
    cancel(market, registration)
    anew = retried(market, registration)

    market.world.turn()

    assert again(market, anew).state == OperationState.BROADCAST
    assert again(market, mint).state == OperationState.PLANNED
    market.world.settle()
    assert again(market, mint).state == OperationState.FINAL


def test_retry__what_the_register_went_on_from__is_left_to_its_use_case(market: Market) -> None:
    mint = market.find(OperationKind.MINT, FIRST)
    cancel(market, mint)
    with pytest.raises(Conflict, match="operation_retried_elsewhere"):
        retried(market, mint)


def test_cancel__sent_and_stuck__its_nonce_is_spent_by_nothing(market: Market) -> None:
    world = market.world
    world.turn()
    registration = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    assert not cancel(market, registration)

    cancel_sent(world.database, world.chain, PERSON, registration.id, reason=REASON)
    world.settle()

    ended = again(market, registration)
    assert ended.state == OperationState.REPLACED
    assert ended.problem is not None
    assert ended.problem["code"] == "operation_cancelled"
    assert market.find(OperationKind.MINT, FIRST).state == OperationState.REFUSED
    others = [each for each in world.operations() if each.state == OperationState.FINAL]
    assert OperationKind.MINT in {each.kind for each in others}
    anew = retried(market, registration)
    world.settle()
    assert again(market, anew).state == OperationState.FINAL


def test_cancel__the_original_is_mined_first__it_is_final_after_all(market: Market) -> None:
    world = market.world
    world.turn()
    world.node.mine()
    registration = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    cancel_sent(world.database, world.chain, PERSON, registration.id, reason=REASON)
    world.settle(impatient=True)
    assert again(market, registration).state == OperationState.FINAL


def test_cancel__too_late_and_the_block_lost__what_was_final_is_final_again(
    market: Market,
) -> None:
    world = market.world
    height = world.client.head().number
    world.turn()
    world.node.mine()
    registration = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    cancel_sent(world.database, world.chain, PERSON, registration.id, reason=REASON)
    world.settle(impatient=True)

    world.node.roll_back(world.client.head().number - height)
    world.settle(impatient=True)

    assert again(market, registration).state == OperationState.FINAL
    assert market.suite().on_chain().supply == FRACTIONS


def test_cancel__its_block_lost__is_cancelled_again(market: Market) -> None:
    world = market.world
    height = world.client.head().number
    world.turn()
    registration = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    cancel_sent(world.database, world.chain, PERSON, registration.id, reason=REASON)
    world.settle()
    before = again(market, registration)

    world.node.roll_back(world.client.head().number - height)
    world.settle(impatient=True)

    ended = again(market, registration)
    assert (ended.state, ended.problem) == (OperationState.REPLACED, before.problem)


def test_cancel__a_row_of_a_batch__names_the_batch_and_that_ends_all(market: Market) -> None:
    market = replace(market, world=replace(market.world, batch_rows=100))
    world = market.world
    world.turn()
    row = market.find(OperationKind.REGISTER_IDENTITY, FIRST)
    with pytest.raises(Conflict, match="operation_carried"):
        cancel(market, row)
    assert row.batch_id is not None

    cancel_sent(world.database, world.chain, PERSON, row.batch_id, reason=REASON)
    world.settle()

    rows = [each for each in world.operations() if each.batch_id == row.batch_id]
    assert {each.state for each in rows} == {OperationState.REPLACED}


def test_cancel__batch_and_its_block_lost__its_rows_are_not_planned_again_when_it_reverts(
    market: Market,
) -> None:
    """Its own bytes are mined in the other branch: each row may be planned anew by then."""
    market = replace(market, world=replace(market.world, batch_rows=100))
    world = market.world
    height = world.client.head().number
    world.turn()
    batch = market.find(OperationKind.REGISTER_IDENTITY, FIRST).batch_id
    assert batch is not None
    cancel_sent(world.database, world.chain, PERSON, batch, reason=REASON)
    world.settle()
    with world.database.reading() as session:
        first = session.exec(
            select(OperationAttempt)
            .where(col(OperationAttempt.operation_id) == batch)
            .order_by(col(OperationAttempt.seq))
        ).all()[0]
        session.expunge_all()
    world.node.roll_back(world.client.head().number - height)
    desk = hex_of(world.place("RegistrationDesk"))
    world.node.rpc("anvil_setCode", desk, "0x5f5ffd")
    world.client.send_raw(first.raw)
    world.node.mine(2)

    world.turn()

    rows = [each for each in world.operations() if batch in (each.id, each.batch_id)]
    assert len(rows) > 1
    assert {each.state for each in rows} == {OperationState.REVERTED}


def test_remedies__no_such_operation__is_told(market: Market) -> None:
    with market.world.database.transaction() as session:
        with pytest.raises(NotFound):
            retry(session, PERSON, uuid4())
        with pytest.raises(NotFound):
            cancel_planned(session, PERSON, uuid4(), reason=REASON)

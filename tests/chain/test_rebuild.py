"""A database from an old backup: what it forgot is read from the chain, and nothing goes twice."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from chain.errors import NonceAhead
from chain.node.client import bytes_of, hex_of
from chain.sending import loop as sending
from chain.sending import resender
from chain.sending.rebuild import REORG_MARGIN, Finding, Rebuild, Report
from chain.sending.roles import plan_grants
from chain.signing.envelope import read_signed
from registry.kernel.db import Database
from registry.operation import service as operations
from registry.operation.models import (
    IN_FLIGHT,
    NonceStream,
    Operation,
    OperationKind,
    OperationState,
)
from tests import sales
from tests.chain.market import FIRST, ISSUER, SECOND, Deal, Market
from tests.chain.nodes import CHAIN_ID
from tests.chain.outcomes import sent
from tests.chain.stage import Stage
from tests.chain.test_pool import Key, pooled, shared
from tests.chain.test_worker import eventually, is_done, running
from tests.chain.world import CONFIRMATIONS, PLATFORM, Hand, World

pytestmark = pytest.mark.chain

ELSEWHERE = bytes_of("0x" + "42" * 20)


@pytest.fixture
def restored(minted: Market, market_stage: tuple[Stage, Deal]) -> Iterator[Market]:
    """The chain of a sale that was carried out, and a database of before that."""
    stage, _ = market_stage
    with stage.databases.copied(stage.template) as backup:
        yield replace(minted, world=World(minted.world.node, backup, minted.world.chain))


def rebuilt(world: World, *, accept: bool = False) -> Report:
    rebuild = Rebuild(world.database, world.chain, finality=CONFIRMATIONS)
    return rebuild.run(accept_foreign=accept)


def assert_nothing_twice(market: Market) -> None:
    market.world.settle(impatient=True)
    assert {each.state for each in market.world.operations()} == {OperationState.FINAL}
    assert market.suite().on_chain().supply == sales.FRACTIONS


def open_again(market: Market) -> list[Operation]:
    """Plan identities that stand already, under keys of their own."""
    planned = []
    for person in (ISSUER, FIRST, SECOND):
        wallet = market.wallet(person)
        opening = {"wallet_id": str(wallet.id), "wallet": hex_of(wallet.address)}
        planned.append(market.plan(OperationKind.CREATE_IDENTITY, f"again {person}", (), **opening))
    return planned


def test_rebuild__after_a_restore__binds_everything_and_sends_nothing(
    restored: Market, minted: Market
) -> None:
    world = restored.world
    on_chain = world.node.transactions()
    with pytest.raises(NonceAhead):
        world.turn(at_start=True)

    report = rebuilt(world)

    assert report.is_complete
    assert {entry.finding for entry in report.entries} == {Finding.MATCHED}
    assert_nothing_twice(restored)
    assert world.node.transactions() == on_chain
    assert sent(world) == sent(minted.world), "the same bytes, on the same nonces"
    assert rebuilt(world).entries == []


def pooled_and_restored(
    market: Market, stage: Stage
) -> tuple[Market, contextlib.AbstractContextManager[Database]]:
    """Have a pool mint everything, of which the backup does not even know the keys."""
    ours, _ = pooled(market)
    ours.world.settle()
    return ours, stage.databases.copied(stage.template)


def test_rebuild__key_that_the_backup_never_saw__is_scanned_and_mints_nothing_twice(
    market: Market, market_stage: tuple[Stage, Deal]
) -> None:
    ours, backup = pooled_and_restored(market, market_stage[0])
    minted_by = {each.signer for each in shared(ours.world)}
    with backup as database:
        old = replace(ours, world=replace(ours.world, database=database))
        on_chain = ours.world.node.transactions()
        with running(old.world, sync=False):
            eventually(lambda: is_done(old.world))
        assert old.world.node.transactions() == on_chain
        assert {each.signer for each in shared(old.world)} == minted_by
        assert_nothing_twice(old)


def test_rebuild__new_key_was_used_long_ago__is_taken_as_it_is(minted: Market) -> None:
    key = Key(160)
    world = replace(minted.world, chain=replace(minted.world.chain, settlement=key))
    world.node.fund(key.address)
    for _ in range(2):
        world.node.act_as(key.address, ELSEWHERE, b"")
    world.node.mine(REORG_MARGIN + 1)
    with world.database.transaction() as session:
        plan_grants(session, world.chain)
    # Something of ours lies between: what came before it cannot have been ours.
    ours = replace(world, chain=minted.world.chain)
    ours.settle()
    world.node.mine(REORG_MARGIN + 1)
    minted.plan(OperationKind.UNPAUSE, "open")
    ours.settle()
    with pytest.raises(NonceAhead):
        world.turn()
    report = rebuilt(world)
    assert report.is_complete
    assert report.unexplained == []
    world.turn()
    with world.database.reading() as session:
        stream = session.get_one(NonceStream, (CHAIN_ID, key.address))
        assert stream.next_nonce == 2


def test_rebuild__then_more_is_ordered__goes_on_with_the_next_nonce(restored: Market) -> None:
    world = restored.world
    rebuilt(world)
    restored.plan(OperationKind.UNPAUSE, "open")
    assert_nothing_twice(restored)
    assert len(world.node.transactions()) == len(
        [each for each in world.operations() if each.nonce is not None]
    )


def test_rebuild__of_batches__binds_every_row(
    market: Market, market_stage: tuple[Stage, Deal]
) -> None:
    whole = replace(market, world=replace(market.world, batch_rows=100))
    whole.world.settle()
    stage, _ = market_stage
    with stage.databases.copied(stage.template) as backup:
        ours = replace(whole, world=replace(whole.world, database=backup))
        assert rebuilt(ours.world).is_complete
        on_chain = ours.world.node.transactions()
        assert_nothing_twice(ours)
        assert ours.world.node.transactions() == on_chain
        for kind in (OperationKind.MINT, OperationKind.REGISTER_IDENTITY, OperationKind.BATCH):
            assert [each.id for each in ours.world.operations() if each.kind == kind] == [
                each.id for each in whole.world.operations() if each.kind == kind
            ]


@pytest.mark.parametrize("known", [0, 1])
def test_rebuild__batch_of_what_was_planned_after_the_backup__is_found_once_that_is_planned_anew(
    minted: Market, minted_stage: tuple[Stage, Deal], known: int
) -> None:
    whole = replace(minted, world=replace(minted.world, batch_rows=100))
    first, *_ = open_again(whole)
    whole.world.settle()
    on_chain = whole.world.node.transactions()
    stage, _ = minted_stage
    with stage.databases.copied(stage.template) as backup:
        ours = replace(whole, world=replace(whole.world, database=backup))
        (anew, *_) = open_again(ours)
        if known:
            # The backup had heard of one of them.
            change = text("UPDATE operation SET id = :first WHERE id = :anew")
            with backup.transaction() as session:
                session.execute(change, {"first": first.id, "anew": anew.id})

        report = rebuilt(ours.world)

        assert report.is_complete
        assert [entry.finding for entry in report.entries] == [Finding.MATCHED]
        assert_nothing_twice(ours)
        assert ours.world.node.transactions() == on_chain


def test_rebuild__what_it_requires_is_not_on_chain__is_found_all_the_same(
    minted: Market, minted_stage: tuple[Stage, Deal]
) -> None:
    wallet = str(minted.wallet(FIRST).id)
    dropped, happened = ("0x" + bytes([number]).hex() * 20 for number in (7, 8))
    minted.plan(OperationKind.CREATE_IDENTITY, "sent", wallet_id=wallet, wallet=happened)
    minted.world.settle()
    stage, _ = minted_stage
    with stage.databases.copied(stage.template) as backup:
        ours = replace(minted, world=replace(minted.world, database=backup))
        # Planned anew: the first was dropped by a reorg, and its gap closed by an empty call.
        first = ours.plan(OperationKind.CREATE_IDENTITY, "1", wallet_id=wallet, wallet=dropped)
        second = ours.plan(
            OperationKind.CREATE_IDENTITY, "2", [first], wallet_id=wallet, wallet=happened
        )

        report = rebuilt(ours.world)

        assert report.is_complete
        assert [entry.operation_id for entry in report.entries] == [second.id]
        ours.world.settle()
        states = {row.id: row.state for row in ours.world.operations()}
        assert states[first.id] == states[second.id] == OperationState.FINAL


def test_rebuild__something_waits_in_the_pool__nothing_is_sent_until_it_is_mined(
    market: Market, market_stage: tuple[Stage, Deal]
) -> None:
    market.world.turn()
    stage, _ = market_stage
    with stage.databases.copied(stage.template) as backup:
        ours = replace(market, world=replace(market.world, database=backup))
        before = sent(ours.world)
        with pytest.raises(NonceAhead):
            ours.world.turn(at_start=True)
        assert sent(ours.world) == before
        assert list(rebuilt(ours.world).waiting) == [ours.world.chain.platform.address]

        ours.world.node.mine()
        assert rebuilt(ours.world).is_complete
        assert_nothing_twice(ours)


def test_rebuild__foreign_transaction__is_told_and_waits_for_a_person(restored: Market) -> None:
    world = restored.world
    foreign = Hand(world.node, PLATFORM).send(ELSEWHERE, b"\x01")
    world.node.mined(foreign)

    report = rebuilt(world)

    (entry,) = report.unexplained
    assert entry.tx_hash == foreign
    assert entry.note == "it names no operation"
    assert not report.is_complete
    with pytest.raises(NonceAhead):
        world.turn()
    restored.plan(OperationKind.UNPAUSE, "open")
    with pytest.raises(NonceAhead):
        world.turn()

    assert rebuilt(world, accept=True).is_complete
    assert_nothing_twice(restored)


def test_rebuild__foreign_one_took_our_nonce__the_operation_ends_and_says_so(
    market: Market,
) -> None:
    world = market.world
    world.turn()
    world.node.drop_pool()
    (taken, *_) = [each for each in world.operations() if each.state == OperationState.BROADCAST]
    world.node.mined(Hand(world.node, PLATFORM).send(ELSEWHERE, b"\x01"))

    assert [each.nonce for each in rebuilt(world).unexplained] == [taken.nonce]
    assert rebuilt(world, accept=True).unexplained == rebuilt(world).unexplained, "not final yet"
    world.node.mine(CONFIRMATIONS)
    rebuilt(world, accept=True)

    (found,) = [each for each in world.operations() if each.id == taken.id]
    assert found.state == OperationState.REPLACED
    assert found.problem is not None
    assert found.problem["code"] == "nonce_taken"


def test_worker__starts_on_an_old_backup__rebuilds_by_itself_and_goes_on(
    restored: Market,
) -> None:
    world = restored.world
    on_chain = world.node.transactions()
    with running(world, sync=False):
        eventually(lambda: is_done(world))
        assert world.node.transactions() == on_chain
        restored.plan(OperationKind.UNPAUSE, "open")
        eventually(lambda: is_done(world))
    assert len(world.node.transactions()) == len(on_chain) + 1
    assert_nothing_twice(restored)


def test_worker__foreign_one_took_our_nonce__the_operation_says_what_it_waits_for(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resender, "RESEND_AFTER", timedelta(seconds=0.1))
    monkeypatch.setattr(sending, "TAKEN_SECONDS", 0.1)
    world = market.world
    world.turn()
    world.node.drop_pool()
    world.node.mined(Hand(world.node, PLATFORM).send(ELSEWHERE, b"\x01"))

    def waiting() -> list[object]:
        return [each.waits_for["code"] for each in world.operations() if each.waits_for is not None]

    with running(world, sync=False):
        eventually(lambda: waiting() == ["nonce_in_doubt"])
        rebuilt(world, accept=True)
        eventually(lambda: not world.count(*IN_FLIGHT, OperationState.PLANNED))
    (taken,) = [each for each in world.operations() if each.state == OperationState.REPLACED]
    assert taken.problem is not None
    assert taken.problem["code"] == "nonce_taken"
    assert taken.waits_for is None


def test_worker__backup_of_between_signing_and_sending__finds_the_other_attempt(
    minted: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It knows of no sending, and nothing else is planned that would find the nonce spent."""
    monkeypatch.setattr(resender, "RESEND_AFTER", timedelta(seconds=0.1))
    monkeypatch.setattr(sending, "TAKEN_SECONDS", 0.1)
    world = minted.world
    opening = minted.plan(OperationKind.UNPAUSE, "open")
    world.turn()
    world.node.drop_pool()
    with world.database.transaction() as session:
        operation = session.get_one(Operation, opening.id)
        operation.state = OperationState.SIGNED
        [attempt] = operations.list_attempts(session, operation)
        attempt.last_sent_at = None
        session.add_all([operation, attempt])
        bumped = replace(read_signed(attempt.raw), max_fee_wei=2 * attempt.max_fee_wei)
        [key] = [each for each in world.chain.senders if each.address == operation.signer]
    signed = key.sign_transaction(bumped)
    world.node.mined(world.node.client.send_raw(signed.raw))

    with running(world, sync=False):
        eventually(lambda: not world.count(*IN_FLIGHT, OperationState.PLANNED))
    [found] = [each for each in world.operations() if each.id == opening.id]
    assert found.state == OperationState.FINAL
    assert not minted.suite().on_chain().paused


def test_rebuild__database_is_up_to_date__does_nothing(minted: Market) -> None:
    before = sent(minted.world)
    report = rebuilt(minted.world)
    assert report.is_complete
    assert report.entries == []
    assert sent(minted.world) == before

"""A rebuild that is broken off, or comes too early: tried again, and nothing goes twice."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.exc import OperationalError

from chain import worker
from chain.errors import NonceAhead
from chain.node.client import hex_of
from chain.sending import rebuild
from chain.sending.rebuild import Rebuild
from registry.operation.models import IN_FLIGHT, OperationKind, OperationState
from tests import sales
from tests.chain.faults import AfterEstimate, Breaks
from tests.chain.market import FIRST, HELD, SECOND, Deal, Market
from tests.chain.outcomes import sent
from tests.chain.stage import Stage
from tests.chain.test_pool import pooled, shared
from tests.chain.test_rebuild import ELSEWHERE, assert_nothing_twice, open_again
from tests.chain.test_worker import eventually, is_done, running
from tests.chain.world import CONFIRMATIONS, PLATFORM, Hand, World

pytestmark = pytest.mark.chain


def rebuild_of(world: World) -> Rebuild:
    return Rebuild(world.database, world.chain, finality=CONFIRMATIONS)


@pytest.mark.parametrize("after", [True, False], ids=["committed", "not committed"])
def test_mend__broken_off_at_each_of_its_commits__is_taken_up_again_by_the_same_worker(
    minted: Market, market_stage: tuple[Stage, Deal], after: bool
) -> None:
    stage, _ = market_stage
    with stage.databases.copied(stage.template) as backup:
        breaking = Breaks(backup, after=after)
        world = replace(minted.world, database=breaking)
        ours = rebuild_of(world)
        broken = 0
        while True:
            # Each time one transaction later: whatever the place, the next run goes on there.
            breaking.left = broken + 1
            try:
                assert not ours.mend()
                break
            except OperationalError:
                broken += 1
        breaking.left = 0
        assert broken > 10
        assert_nothing_twice(replace(minted, world=replace(minted.world, database=backup)))
        breaking.dispose()


def test_pool__one_key_is_ahead__the_others_send_nothing_that_it_may_have_sent(
    market: Market, market_stage: tuple[Stage, Deal]
) -> None:
    ours, keys = pooled(market)
    # What is ready goes to the lowest address first.
    other, *_, ahead = sorted(keys, key=lambda key: key.address)
    ahead_alone = replace(ours.world, chain=replace(ours.world.chain, agents=(ahead,)))
    ahead_alone.turn()
    ahead_alone.node.mine()
    ahead_alone.tracker().follow()
    stage, _ = market_stage
    with stage.databases.copied(stage.databases.as_template(ahead_alone.database)) as backup:
        ahead_alone.settle()
        on_chain = ours.world.node.transactions()
        chain = replace(ours.world.chain, agents=(other, ahead))
        old = replace(ours, world=replace(ours.world, database=backup, chain=chain))
        with running(old.world, sync=False):
            eventually(lambda: is_done(old.world))
        assert old.world.node.transactions() == on_chain
        assert {each.signer for each in shared(old.world)} == {ahead.address}
        assert_nothing_twice(old)


def test_worker__instruction_that_the_backup_never_heard_of__is_told_and_found_once_entered_again(
    minted: Market, minted_stage: tuple[Stage, Deal], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuild, "AGAIN_SECONDS", 0.0)
    monkeypatch.setattr(worker, "BACKOFF_SECONDS", 0.02)
    first, *_ = open_again(minted)
    minted.world.settle()
    on_chain = minted.world.node.transactions()
    stage, _ = minted_stage
    with stage.databases.copied(stage.template) as backup:
        ours = replace(minted, world=replace(minted.world, database=backup))
        ours.plan(OperationKind.UNPAUSE, "open")

        def told() -> str:
            (waiting,) = [each.waits_for for each in ours.world.operations() if each.waits_for]
            assert waiting["code"] == "nonce_ahead"
            return "\n".join(waiting["unexplained"])

        with running(ours.world, sync=False):
            eventually(lambda: any(each.waits_for for each in ours.world.operations()))
            assert told().count("lost, it carried out operation") == len(on_chain[-3:])
            assert str(first.id) in told()
            assert on_chain[-1] in told()
            assert ours.world.node.transactions() == on_chain
            open_again(ours)
            eventually(lambda: is_done(ours.world))
        assert ours.world.node.transactions()[:-1] == on_chain, "only what was never sent"
        assert_nothing_twice(ours)


def test_send__reverts_while_a_key_has_sent_what_nobody_knows__is_not_refused(
    market: Market,
) -> None:
    """A restore under a running worker: what it sent may be why the call reverts by now."""
    world = market.world
    world.turn()
    world.node.mine()
    world.tracker().follow()

    def mint_by_hand() -> None:
        hand, agent = Hand(world.node, PLATFORM), world.place("CaseAgent")
        wallets = [market.wallet(person).address for person in (FIRST, SECOND)]
        for wallet in (*wallets, *wallets):
            hand.call("CaseAgent", agent, "mint", market.suite().token, wallet, 200)

    # The next key is asked when that has happened.
    with pytest.raises(NonceAhead):
        world.through(AfterEstimate(world.node, mint_by_hand)).turn()

    assert not world.count(OperationState.REFUSED)


def test_worker__pool_keeps_behind_a_gap_what_the_backup_forgot__nothing_goes_twice(
    market: Market, market_stage: tuple[Stage, Deal]
) -> None:
    """No count of the node's tells of it, until the missing nonce is given out again."""
    world = market.world
    world.turn()
    world.node.mine()
    world.tracker().follow()
    stage, _ = market_stage
    with stage.databases.copied(stage.databases.as_template(world.database)) as backup:
        world.turn()
        dropped, *kept = sent(world)[-len(HELD) :]
        world.node.drop_pool()
        for each in kept:
            world.client.send_raw(each.raw)
        before = world.node.transactions()
        old = replace(market, world=replace(world, database=backup))
        # Whose mint was dropped drops out: the next one would go where that stood.
        (person,) = [
            each for each in HELD if market.find(OperationKind.MINT, each).nonce == dropped.nonce
        ]
        old.let_kyc_run_out(person)

        with running(old.world, sync=False):
            eventually(lambda: not old.world.count(OperationState.PLANNED, *IN_FLIGHT))

        empty, *bound = old.world.node.transactions()[len(before) :]
        assert world.node.rpc("eth_getTransactionByHash", empty)["input"] == "0x"
        assert bound == [hex_of(each.tx_hash) for each in kept]
        assert old.world.count(OperationState.REFUSED) == 1
        assert market.suite().on_chain().supply == sales.FRACTIONS - HELD[person]


def test_send__key_is_used_between_look_and_signature__nothing_is_signed(market: Market) -> None:
    world = market.world

    def use() -> None:
        Hand(world.node, PLATFORM).send(ELSEWHERE, b"\x01")

    with pytest.raises(NonceAhead):
        world.through(AfterEstimate(world.node, use)).turn()

    assert not world.count(*IN_FLIGHT)


def test_send__reverts_while_our_nonces_went_to_something_unknown__is_not_refused(
    market: Market,
) -> None:
    """The counts agree again then, and yet nobody knows what was done."""
    world = market.world
    world.turn()
    world.node.drop_pool()
    for _ in range(world.count(OperationState.BROADCAST)):
        world.node.mined(Hand(world.node, PLATFORM).send(ELSEWHERE, b"\x01"))
    closing = market.plan(OperationKind.PAUSE, "it is paused as it is")

    world.turn()

    (found,) = [each for each in world.operations() if each.id == closing.id]
    assert found.state == OperationState.PLANNED

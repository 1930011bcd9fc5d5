"""Blocks that the chain takes back: the projection follows, and keeps what it knew."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlmodel import Session, col, select
from structlog.testing import capture_logs

from chain.errors import RpcUnavailable
from chain.node.client import hex_of
from chain.sync.indexer import Indexer
from chain.sync.ranges import RangeReader
from registry.captable import entries, sums
from registry.captable import service as captable
from registry.captable.branches import known_block_at
from registry.captable.models import ChainBlock, SyncCursor, Token, TokenEvent
from registry.captable.orphans import OrphanBlock
from registry.captable.sums import SumDiffers
from registry.captable.supply import supply_at
from registry.journal.models import JournalEntry
from registry.kernel.db import Database
from registry.kernel.errors import Conflict
from tests.chain.nodes import CHAIN_ID, Node
from tests.chain.suite import ADDRESSES, COUNTRIES, Suite, count, cursor_of, shuffle
from tests.chain.test_adoption import read_all
from tests.chain.test_garbled_logs import UNINDEXED, emit
from tests.chain.world import World

pytestmark = pytest.mark.chain


@pytest.fixture
def held(suite: Suite) -> Suite:
    """A projected token of which everybody holds enough to send around."""
    for number in range(5):
        suite.mint(number, 10_000)
    suite.index()
    return suite


def hashes_above(suite: Suite, number: int) -> set[bytes]:
    head = suite.world.client.head().number
    found = (suite.world.client.block(above) for above in range(number + 1, head + 1))
    return {block.hash for block in found if block is not None}


def orphans(database: Database) -> list[OrphanBlock]:
    with database.reading() as session:
        return list(session.exec(select(OrphanBlock).order_by(col(OrphanBlock.number))).all())


def stored_hashes(database: Database) -> set[bytes]:
    with database.reading() as session:
        return set(session.exec(select(ChainBlock.hash)).all())


@pytest.mark.parametrize(
    ("depth", "mined_instead"),
    [(1, 2), (3, 3), (6, 2), (20, 25), (20, 20), (3, 0)],
    ids=["depth 1", "same height", "shorter", "depth 20", "20 same height", "only shorter"],
)
def test_reorg__other_transfers_instead__are_followed_and_the_old_ones_kept(
    held: Suite, depth: int, mined_instead: int
) -> None:
    ancestor = held.world.client.head()
    shuffle(held, seed=1, blocks=depth)
    held.index()
    old = hashes_above(held, ancestor.number)
    was = held.projected()
    with held.world.database.reading() as session:
        told = set(
            session.exec(
                select(TokenEvent.tx_hash).where(col(TokenEvent.block_number) > ancestor.number)
            ).all()
        )

    assert held.world.node.roll_back(depth).hash == ancestor.hash
    shuffle(held, seed=2, blocks=mined_instead)
    held.index()

    held.assert_exact()
    assert held.projected() != was
    kept = orphans(held.world.database)
    assert {block.hash for block in kept} == old
    assert {event["tx_hash"] for block in kept for event in block.events} == {
        digest.hex() for digest in told
    }
    assert stored_hashes(held.world.database).isdisjoint(old)


def test_reorg__of_any_depth__nobody_ever_reads_a_shorter_chain(held: Suite) -> None:
    shuffle(held, seed=1, blocks=6)
    held.index()
    held.world.node.roll_back(6)
    shuffle(held, seed=2, blocks=8)
    head = held.world.client.head()

    assert Indexer(held.world.database, held.world.client).advance()

    cursor = cursor_of(held.world.database)
    assert (cursor.number, cursor.hash) == (head.number, head.hash), "one turn took both steps"
    held.assert_exact()


def test_reorg__new_branch_cannot_be__old_one_is_taken_back_all_the_same(
    held: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    shuffle(held, seed=1, blocks=3)
    held.index()
    ancestor = held.world.node.roll_back(3)
    shuffle(held, seed=2, blocks=4)

    def wrong(session: Session, tokens: Collection[int]) -> None:
        if session.get_one(SyncCursor, CHAIN_ID).number > ancestor.number:
            raise SumDiffers(min(tokens), held.token, held=1, supply=2)

    with monkeypatch.context() as patched:
        patched.setattr(sums, "require_equal", wrong)
        assert Indexer(held.world.database, held.world.client).advance()
        assert cursor_of(held.world.database).hash == ancestor.hash

    held.index()
    held.assert_exact()


def test_reorg__lost_branch_had_named_an_agent__new_one_is_read_with_other_eyes(
    held: Suite,
) -> None:
    ancestor = held.world.client.head()
    held.do("addAgent", ADDRESSES[0])
    held.index()
    held.world.node.roll_back(1)
    shuffle(held, seed=2, blocks=2)

    assert Indexer(held.world.database, held.world.client).advance()

    assert cursor_of(held.world.database).hash == ancestor.hash
    held.index()
    held.assert_exact()


def test_reorg__node_is_too_slow_for_the_new_branch__old_one_is_taken_back_all_the_same(
    held: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    shuffle(held, seed=1, blocks=3)
    held.index()
    ancestor = held.world.node.roll_back(3)
    shuffle(held, seed=2, blocks=4)

    def slow(*_: object, **__: object) -> None:
        raise RpcUnavailable("eth_getLogs: the answer takes too long")

    with monkeypatch.context() as patched:
        patched.setattr(RangeReader, "read", slow)
        assert Indexer(held.world.database, held.world.client).advance()

    assert cursor_of(held.world.database).hash == ancestor.hash
    held.index()
    held.assert_exact()


def refusals(suite: Suite) -> list[str]:
    """List what the journal says of refusals of a token."""
    with suite.world.database.reading() as session:
        told = select(JournalEntry.act).where(
            col(JournalEntry.subject_id) == f"0x{suite.token.hex()}",
            col(JournalEntry.act).startswith("token_refus"),
        )
        return list(session.exec(told.order_by(col(JournalEntry.id))).all())


def test_reorg__takes_back_what_a_token_was_refused_for__it_is_followed_again(
    held: Suite,
) -> None:
    code = held.world.client.code(held.token)
    emit(held, held.token, [UNINDEXED])
    held.index()
    read_all(held)
    assert refusals(held) == ["token_refused"]
    held.world.node.mine(2)
    held.index()

    held.world.node.roll_back(3)
    held.world.node.rpc("anvil_setCode", hex_of(held.token), hex_of(code))
    shuffle(held, seed=1, blocks=2)
    held.index()
    read_all(held)

    held.assert_exact()
    assert refusals(held) == ["token_refused", "token_refusal_withdrawn"]


def test_reorg__above_what_a_token_was_refused_for__it_stays_refused(held: Suite) -> None:
    emit(held, held.token, [UNINDEXED])
    held.index()
    read_all(held)
    held.world.node.mine(2)
    held.index()

    held.world.node.roll_back(1)
    held.index()
    read_all(held)

    assert refusals(held) == ["token_refused"]
    with held.world.database.reading() as session, pytest.raises(Conflict, match="followed"):
        captable.get_token(session, held.token)


def test_reorg__head_behind_the_cursor__cursor_goes_back_to_it(held: Suite) -> None:
    shuffle(held, seed=1, blocks=2)
    held.index()
    shuffle(held, seed=2, blocks=5)
    held.index()

    head = held.world.node.roll_back(5)
    held.index()

    held.assert_exact()
    cursor = cursor_of(held.world.database)
    assert (cursor.number, cursor.hash) == (head.number, head.hash)


def test_reorg__empty_blocks_between__common_ancestor_is_a_stored_one(held: Suite) -> None:
    stored = held.world.client.head()
    held.world.node.mine(10)
    shuffle(held, seed=1, blocks=1)
    held.index()

    held.world.node.roll_back(3)
    shuffle(held, seed=2, blocks=3)
    with capture_logs() as told:
        assert Indexer(held.world.database, held.world.client).advance()

    assert [line["ancestor"] for line in told if line["event"] == "reorg"] == [stored.number]
    held.assert_exact()


def test_reorg__registrations_freezes_and_pause__are_taken_back(held: Suite) -> None:
    before = held.projected()
    registry = held.registry
    held.register(5, 76)
    held.agent.call("IdentityRegistry", registry, "updateCountry", ADDRESSES[5], 32)
    held.agent.call("IdentityRegistry", registry, "updateCountry", ADDRESSES[0], 32)
    held.agent.call("IdentityRegistry", registry, "deleteIdentity", ADDRESSES[4])
    held.do("unpause")
    held.do("freezePartialTokens", ADDRESSES[1], 10)
    held.do("setAddressFrozen", ADDRESSES[2], True)
    held.do("burn", ADDRESSES[3], 77)
    held.index()
    held.assert_exact()

    held.world.node.roll_back(8)
    held.index()

    held.assert_exact()
    assert held.projected() == before
    assert before.registered[ADDRESSES[0]][1] == COUNTRIES[0]


def test_reorg__there_and_back_again__equals_the_chain_each_time(
    held: Suite, tmp_path: Path
) -> None:
    world = held.world
    shuffle(held, seed=1, blocks=4)
    (tmp_path / "other").mkdir()
    state = world.node.dump(tmp_path / "branch.json")
    with Node(tmp_path / "other", state=state) as other:
        there = Suite(world.through(other.client), held.agent)
        held.index()
        world.node.roll_back(4)
        shuffle(held, seed=2, blocks=4)
        for branch in (held, there, held, there):
            branch.index()
            branch.assert_exact()
    # Each block of both branches was believed in, and lost, twice.
    lost = orphans(world.database)
    assert len({block.hash for block in lost}) == 8
    assert len(lost) == 16
    assert all(block.recorded_at < block.orphaned_at for block in lost)


def test_reorg__deployment_itself_taken_back__token_vanishes_and_comes_again(
    suite: Suite,
) -> None:
    ancestor = suite.world.client.head()
    other = suite.deploy("second")
    other.register(0, 40)
    other.mint(0, 5)
    suite.index()
    other.assert_exact()
    number = number_of(other)

    suite.world.node.roll_back(3)
    suite.index()
    assert count(suite.world.database, Token) == 1
    assert cursor_of(suite.world.database).hash == ancestor.hash

    suite.mint(0, 1)
    again = suite.deploy("second")
    again.register(1, 40)
    again.mint(1, 6)
    suite.index()
    again.assert_exact()
    suite.assert_exact()
    assert (again.token, number_of(again)) == (other.token, number)


def number_of(suite: Suite) -> int | None:
    with suite.world.database.reading() as session:
        return captable.get_token(session, suite.token).token_no


def test_reorg__whole_chain_replaced__begins_again_and_everything_is_sent_again(
    platform: World,
) -> None:
    node = platform.node
    indexer = Indexer(platform.database, platform.client)
    first = Suite.deploy_first(platform)
    first.index(indexer)
    stood_at = [operation.result.get("address") for operation in platform.operations()]
    node.kill()
    node.start()
    node.fund(platform.chain.platform.address)

    first.index(indexer)

    genesis = platform.client.block(0)
    assert genesis is not None
    assert cursor_of(platform.database).hash == genesis.hash
    assert count(platform.database, Token) == 0

    # Sent all at once they do not fit into one block, and the node drops those behind the gap.
    platform.settle(impatient=True)
    stand_at = [operation.result.get("address") for operation in platform.operations()]
    assert stand_at == stood_at
    again = Suite.deploy_first(platform)
    again.mint(0, 5)
    again.index(indexer)
    again.assert_exact()


def test_reorg__another_chain_for_a_while__projects_each_from_its_first_block(
    platform: World, tmp_path: Path
) -> None:
    suite = Suite.deploy_first(platform)
    suite.mint(0, 5)
    suite.index()
    head = cursor_of(platform.database).number
    with platform.database.reading() as session:
        moment = session.connection().execute(text("SELECT clock_timestamp()")).scalar_one()
    (tmp_path / "other").mkdir()
    with Node(tmp_path / "other") as other:
        other.mine(head + 7)
        indexer = Indexer(platform.database, other.client)
        assert indexer.advance()
        assert cursor_of(platform.database).number == 0
        suite.index(indexer)
        assert cursor_of(platform.database).number == head + 7
        assert count(platform.database, Token) == 0

    suite.index()

    suite.assert_exact()
    assert suite.projected().supply == 5
    with platform.database.reading() as session:
        then = known_block_at(session, CHAIN_ID, None, moment)
        token = session.exec(select(Token)).one()
        held = [entry.balance_units for entry in entries.list_holders(session, token, then)]
        assert (then.number, then.is_orphaned, held) == (head, True, [5])
        assert supply_at(session, token, then) == 5

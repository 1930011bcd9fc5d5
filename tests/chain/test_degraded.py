"""What was final and left the chain all the same: told, taken back, proven, lifted by itself."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace
from sqlalchemy import text
from sqlmodel import col, select

from chain.errors import WrongChain
from chain.node.client import Block, ChainClient
from chain.proving.reconciler import Reconciler
from chain.sync import guard
from chain.sync.ancestor import common_ancestor
from chain.sync.catch_up import CatchUp
from chain.sync.guard import Guard
from chain.sync.indexer import Indexer
from chain.worker import run_sync
from registry.captable import lost_seal
from registry.captable import service as captable
from registry.captable.feed import Place, kept_place
from registry.captable.models import ChainBlock, Token
from registry.journal.models import JournalEntry
from registry.kernel.db import Database
from tests.chain.nodes import CHAIN_ID, Node
from tests.chain.suite import Suite, catch_up, count, cursor_of, shuffle
from tests.chain.test_reconciler import drained
from tests.chain.world import CONFIRMATIONS

pytestmark = pytest.mark.chain


@pytest.fixture
def held(suite: Suite) -> Suite:
    """A projected token, all but its newest block final."""
    for number in range(5):
        suite.mint(number, 10_000)
    follow(suite)
    return suite


def guard_of(suite: Suite) -> Guard:
    return Guard(suite.world.database, suite.world.client, finality=CONFIRMATIONS)


def follow(suite: Suite) -> None:
    suite.index()
    guard_of(suite).note_final()


def prove(suite: Suite) -> None:
    drained(Reconciler(suite.world.database, suite.world.client))


def alarms(database: Database) -> list[str]:
    with database.reading() as session:
        told = ["cap_table_degraded", "cap_table_recovered"]
        query = select(JournalEntry.act).where(col(JournalEntry.act).in_(told))
        return list(session.exec(query.order_by(col(JournalEntry.id))).all())


def test_note_final__follows_the_head(held: Suite) -> None:
    cursor = cursor_of(held.world.database)
    block = held.world.client.block(cursor.number - CONFIRMATIONS)
    assert block is not None
    assert (cursor.finalized_number, cursor.finalized_hash) == (block.number, block.hash)


def test_note_final__by_a_tag__is_asked_again_though_no_block_came(
    held: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = held.world.database
    head = cursor_of(database).number
    finality = Guard(database, held.world.client, finality="safe")
    monkeypatch.setattr(guard, "TAG_SECONDS", 0.0)
    monkeypatch.setattr(guard, "final_height", lambda *_: head - 1)
    finality.note_final()
    assert cursor_of(database).finalized_number == head - 1

    monkeypatch.setattr(guard, "final_height", lambda *_: head)
    finality.note_final()
    assert cursor_of(database).finalized_number == head


def test_sync__a_token_has_long_to_read__finality_goes_on(
    held: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CatchUp, "advance", lambda _: True)
    world, stop = held.world, threading.Event()
    final = world.node.mine(3).number - CONFIRMATIONS
    loop = threading.Thread(
        target=run_sync,
        args=(world.database, world.client, stop),
        kwargs={"finality": CONFIRMATIONS},
    )
    loop.start()
    try:
        for _ in range(200):
            if cursor_of(world.database).finalized_number == final:
                break
            stop.wait(0.1)
    finally:
        stop.set()
        loop.join()

    assert cursor_of(world.database).finalized_number == final


def test_reorg__of_what_was_not_final__is_no_alarm(held: Suite) -> None:
    held.world.node.roll_back(CONFIRMATIONS)
    shuffle(held, seed=1, blocks=3)
    follow(held)
    assert cursor_of(held.world.database).degraded is None
    assert alarms(held.world.database) == []


@pytest.mark.parametrize("finality_blocks", [3, 60])
def test_reorg__of_what_was_final__is_told_and_recovers_by_itself(
    held: Suite, finality_blocks: int
) -> None:
    database = held.world.database
    shuffle(held, seed=1, blocks=finality_blocks)
    follow(held)
    head = held.world.node.roll_back(finality_blocks)
    shuffle(held, seed=2, blocks=finality_blocks)

    held.index()

    cursor = cursor_of(database)
    assert cursor.degraded is not None
    assert f"blocks above {head.number} left the chain" in cursor.degraded
    assert cursor.chain_doubt == cursor.degraded
    assert cursor.finalized_hash == head.hash
    with database.reading() as session:
        assert captable.block_at(session, CHAIN_ID, None).degraded == cursor.degraded
    held.assert_exact()

    prove(held)

    assert cursor_of(database).degraded is None
    assert cursor_of(database).chain_doubt is None
    assert alarms(database) == ["cap_table_degraded", "cap_table_recovered"]
    guard_of(held).note_final()
    assert (cursor_of(database).finalized_number or 0) > head.number


def test_reorg__of_what_was_final__proofs_of_before_do_not_lift_it(held: Suite) -> None:
    prove(held)
    held.mint(0, 1)
    held.mint(1, 1)
    follow(held)
    held.world.node.roll_back(2)
    held.index()
    assert cursor_of(held.world.database).degraded is not None
    held.world.node.kill()
    with pytest.raises(Exception, match="Connection"):
        prove(held)
    assert cursor_of(held.world.database).degraded is not None


def test_chain_reset__reason_is_told(held: Suite) -> None:
    held.world.node.kill()
    held.world.node.start()
    held.world.node.mine(3)

    held.index()

    cursor = cursor_of(held.world.database)
    assert "the chain was reset" in (cursor.degraded or "")
    assert count(held.world.database, Token) == 0
    prove(held)
    assert cursor_of(held.world.database).degraded is None


def test_chain_reset__again_with_another_first_block__old_places_lead_to_the_newest(
    held: Suite,
) -> None:
    node, database = held.world.node, held.world.database
    places = []
    for _ in range(2):
        cursor = cursor_of(database)
        places.append(Place(cursor.number, cursor.hash))
        first = held.world.client.block(0)
        while held.world.client.block(0) == first:
            # Its hash has the second in which the chain began.
            node.kill()
            node.start()
        node.mine(3)
        held.index()

    first = held.world.client.block(0)
    assert first is not None
    with database.reading() as session:
        for place in places:
            assert kept_place(session, CHAIN_ID, place) == Place(0, first.hash)
        assert list(lost_seal.altered(session)) == []


def test_other_chain_id__nothing_is_taken_back_and_the_reason_is_told(
    held: Suite, tmp_path: Path
) -> None:
    before = cursor_of(held.world.database)
    (tmp_path / "other").mkdir()

    class Elsewhere(ChainClient):
        def check(self) -> None:
            raise WrongChain(CHAIN_ID, 5)

    with Node(tmp_path / "other") as other:
        client = Elsewhere(other.url, CHAIN_ID)
        guard = Guard(held.world.database, client, finality=CONFIRMATIONS)
        with pytest.raises(WrongChain):
            guard.check_due()
        with pytest.raises(WrongChain):
            catch_up(Indexer(held.world.database, client))

    cursor = cursor_of(held.world.database)
    assert cursor.hash == before.hash
    assert cursor.degraded == f"the node serves chain 5 instead of {CHAIN_ID}"
    assert guard_of(held).check_due() is None
    prove(held)
    assert cursor_of(held.world.database).degraded is None


def spoil(database: Database, number: int) -> None:
    """Store another hash of a block, as nobody but a hand in the database does."""
    with database.engine.begin() as connection:
        connection.execute(
            text("UPDATE chain_block SET hash = sha256(hash) WHERE number = :n"), {"n": number}
        )


def test_check__stored_hash_edited__is_found_taken_back_and_read_anew(held: Suite) -> None:
    database = held.world.database
    shuffle(held, seed=1, blocks=5)
    follow(held)
    with database.reading() as session:
        numbers = session.exec(select(ChainBlock.number).order_by(col(ChainBlock.number))).all()
    wrong = numbers[-4]
    spoil(database, wrong)
    found = None
    for _ in range(50):
        found = guard_of(held).check_due()
        if found is not None:
            break
    assert found == wrong

    Indexer(database, held.world.client).take_back_wrong(wrong)
    assert cursor_of(database).number < wrong
    assert cursor_of(database).degraded is not None
    held.index()
    held.assert_exact()
    assert guard_of(held).compare() is None
    prove(held)
    assert cursor_of(database).degraded is None


class LongAgo(ChainClient):
    """Has blocks up to `last` whose hashes are those of their numbers."""

    asked = 0
    last = 0
    any_header: Block

    def block_number(self) -> int:
        return self.last

    def headers(self, numbers: Sequence[int]) -> list[Block | None]:
        self.asked += 1
        return [
            replace(
                self.any_header,
                number=number,
                hash=hashlib.sha256(str(number).encode()).digest(),
            )
            if number <= self.last
            else None
            for number in numbers
        ]


@pytest.mark.parametrize("depth", [0, 1, 63, 64, 65, 200, 99_999, 100_000])
def test_common_ancestor__any_depth__takes_a_handful_of_batches(held: Suite, depth: int) -> None:
    database = held.world.database
    with database.engine.begin() as connection:
        connection.execute(text("DELETE FROM chain_block"))
        # Every third block, as a projection has gaps.
        connection.execute(
            text(
                "INSERT INTO chain_block SELECT :chain, n, sha256(n::text::bytea), ''::bytea, now()"
                " FROM generate_series(0, 300000, 3) n"
            ),
            {"chain": CHAIN_ID},
        )
    client = LongAgo(held.world.node.url, CHAIN_ID)
    client.any_header = held.world.client.head()
    client.last = 300_000 - 3 * depth + 1

    found = common_ancestor(database, client)

    assert found is not None
    assert found.number == 300_000 - 3 * depth
    assert client.asked <= 5


def test_common_ancestor__none_of_ours__is_none(held: Suite, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with Node(tmp_path / "other") as other:
        other.mine(2)
        assert common_ancestor(held.world.database, other.client) is None

"""What holders have together is the supply in every commit, or the token is read again."""

from __future__ import annotations

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from chain.sync.catch_up import CatchUp
from chain.sync.indexer import Indexer
from registry.captable.models import SyncCursor, Token
from registry.captable.projection import CursorMoved
from registry.captable.sums import find_differing_at
from registry.journal.models import JournalEntry
from registry.kernel.db import Database
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import ADDRESSES, REGISTERED, Suite, cursor_of, shuffle
from tests.chain.test_reconciler import balance_of
from tests.chain.test_reconciler import run as run_on_one

pytestmark = pytest.mark.chain

FIRST = "token_no = (SELECT min(token_no) FROM token)"
OF_FIRST_HOLDER = f"{FIRST} AND holder_no = (SELECT min(holder_no) FROM balance WHERE {FIRST})"
TAMPERED = {
    "a balance": f"UPDATE balance SET balance_units = balance_units + 1 WHERE {OF_FIRST_HOLDER}",
    "a holder is gone": f"DELETE FROM balance WHERE {OF_FIRST_HOLDER}",
    "a holder nobody knows": "INSERT INTO balance SELECT token_no, 999999, 5, 0, block_number"
    f" FROM balance WHERE {OF_FIRST_HOLDER}",
    "the supply": f"UPDATE token SET supply_units = supply_units - 1 WHERE {FIRST}",
    "balance and history": f"WITH h AS (UPDATE balance_at SET balance_units = balance_units + 1"
    f" WHERE {OF_FIRST_HOLDER})"
    f" UPDATE balance SET balance_units = balance_units + 1 WHERE {OF_FIRST_HOLDER}",
}
TURNS = 20


@pytest.fixture
def held(suite: Suite) -> Suite:
    for number in range(REGISTERED):
        suite.mint(number, 1_000)
    suite.index()
    return suite


def run(database: Database, statement: str) -> None:
    with database.transaction() as session:
        session.connection().execute(text(statement))


def token_of(suite: Suite) -> Token:
    with suite.world.database.reading() as session:
        return session.exec(select(Token).where(col(Token.address) == suite.token)).one()


def settle(suite: Suite) -> None:
    """Take the turns of a sync until nothing is left to do."""
    indexer = Indexer(suite.world.database, suite.world.client)
    behind = CatchUp(suite.world.database, suite.world.client)
    for _ in range(TURNS):
        try:
            if not indexer.advance() and not behind.advance():
                return
        except CursorMoved:
            continue
    raise AssertionError("the sync does not come to an end")


@pytest.mark.parametrize("what", TAMPERED)
def test_commit__somebody_changed_a_row__is_refused_and_the_token_read_again(
    held: Suite, what: str
) -> None:
    was = cursor_of(held.world.database)
    run(held.world.database, TAMPERED[what])
    held.move(2, 3, 10)

    with pytest.raises(CursorMoved):
        Indexer(held.world.database, held.world.client).advance()

    cursor = cursor_of(held.world.database)
    assert (cursor.number, cursor.hash) == (was.number, was.hash)
    assert cursor.degraded is not None
    assert f"0x{held.token.hex()}" in cursor.degraded
    # It is one token that is in doubt, and the others are not stopped for it.
    assert cursor.chain_doubt is None
    assert token_of(held).doubted_since is not None
    assert token_of(held).caught_up_to is not None
    with held.world.database.reading() as session:
        acts = session.exec(select(JournalEntry.act)).all()
    assert acts.count("cap_table_degraded") == 1

    settle(held)

    held.assert_exact()
    token = token_of(held)
    assert token.held_units == token.supply_units == 1_000 * REGISTERED


def test_commit__another_token_was_changed__goes_on(held: Suite) -> None:
    other = held.deploy("second")
    other.register(0, 40)
    other.mint(0, 7)
    held.index()
    run(held.world.database, TAMPERED["a balance"])
    other.mint(0, 1)

    held.index()

    other.assert_exact()
    assert cursor_of(held.world.database).degraded is None
    held.move(2, 3, 10)
    settle(held)
    held.assert_exact()
    other.assert_exact()


def test_reorg__somebody_changed_a_row__is_followed_after_the_token_was_mended(
    held: Suite,
) -> None:
    shuffle(held, seed=1, blocks=3)
    held.index()
    run(held.world.database, TAMPERED["a holder nobody knows"])
    held.world.node.roll_back(2)
    held.world.node.drop_pool()
    shuffle(held, seed=2, blocks=4)

    settle(held)

    held.assert_exact()
    with held.world.database.reading() as session:
        assert session.get_one(SyncCursor, CHAIN_ID).degraded is not None


def test_reorg__goes_back_to_a_row_of_the_history_that_is_wrong__is_followed_and_exact(
    held: Suite,
) -> None:
    database = held.world.database
    for _ in range(5):
        held.move(0, 1, 10)
        held.index()
    ancestor = cursor_of(database).number - 3
    # What holds today is right, and so is every later row.
    run_on_one(
        database,
        "UPDATE balance_at SET balance_units = balance_units + 1"
        f" WHERE {balance_of(held, 0)} AND block_number = {ancestor}",
    )
    held.world.node.roll_back(3)
    held.world.node.drop_pool()
    shuffle(held, seed=2, blocks=4)

    settle(held)

    held.assert_exact()
    token_no = token_of(held).token_no
    assert token_no is not None
    with database.reading() as session:
        assert find_differing_at(session, token_no, ancestor) is None


def test_held_units__whatever_happens_to_holders__are_their_sum(held: Suite) -> None:
    held.do("burn", ADDRESSES[0], 400)
    shuffle(held, seed=3, blocks=3)
    held.index()
    token = token_of(held)
    assert token.held_units == token.supply_units == 1_000 * REGISTERED - 400

    held.world.node.roll_back(4)
    held.world.node.drop_pool()
    held.world.node.mine(5)
    held.index()

    token = token_of(held)
    assert token.held_units == token.supply_units == 1_000 * REGISTERED

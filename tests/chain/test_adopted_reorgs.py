"""Reorgs below the first block of a token that somebody adopted: it is not forgotten."""

from __future__ import annotations

from datetime import datetime

import pytest
from sqlalchemy import text
from sqlmodel import col, select

from chain.sync.adoption import examine
from chain.sync.catch_up import CatchUp
from chain.sync.guard import Guard
from chain.sync.indexer import Indexer
from registry.captable import catching_up
from registry.captable import service as captable
from registry.captable.branches import known_block_at
from registry.captable.models import SyncCursor, Token
from registry.captable.readings import require_known
from registry.journal.models import JournalEntry
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Unavailable
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import Suite, cursor_of
from tests.chain.test_adoption import read_all

pytestmark = pytest.mark.chain

LIVED = 4
"""Blocks of the adopted token, the last of which is an unpausing."""


def named(suite: Suite, was: str, name: str) -> None:
    """Give our factory another name, so that it is not ours; or ours again."""
    with suite.world.database.transaction() as session:
        session.connection().execute(
            text("UPDATE platform_contract SET name = :name WHERE name = :was"),
            {"was": was, "name": name},
        )


def deployed_by_somebody(suite: Suite) -> Suite:
    """Deploy a token of whose deployment nobody tells us."""
    found = suite.deploy("second")
    found.register(0, 40)
    found.mint(0, 55)
    found.do("unpause")
    return found


@pytest.fixture
def adopted(suite: Suite) -> Suite:
    suite.index()
    first = suite.world.client.head().number + 1
    found = deployed_by_somebody(suite)
    named(suite, "TREXFactory", "Theirs")
    suite.index()
    with suite.world.database.transaction() as session:
        token = examine(suite.world.client, found.token, first_block=first)
        catching_up.adopt(session, THE_SYSTEM, CHAIN_ID, token)
    read_all(suite)
    found.assert_exact()
    return found


def row_of(suite: Suite) -> Token:
    with suite.world.database.reading() as session:
        return session.exec(select(Token).where(col(Token.address) == suite.token)).one()


def acts(suite: Suite) -> list[JournalEntry]:
    with suite.world.database.reading() as session:
        of_token = col(JournalEntry.subject_id) == f"0x{suite.token.hex()}"
        entries = session.exec(select(JournalEntry).where(of_token).order_by(col(JournalEntry.id)))
        return list(entries.all())


def again(suite: Suite) -> None:
    """Have the token deployed again, in another block than before."""
    named(suite, "Theirs", "TREXFactory")
    deployed_by_somebody(suite)
    named(suite, "TREXFactory", "Theirs")


def test_reorg__takes_the_deployment_back__token_is_read_again(
    suite: Suite, adopted: Suite
) -> None:
    was = row_of(adopted)
    suite.world.node.roll_back(LIVED)
    suite.mint(0, 5)

    suite.index()
    CatchUp(suite.world.database, suite.world.client).advance()

    row = row_of(adopted)
    assert (row.token_no, row.caught_up_to) == (was.token_no, was.block_number - 1)
    assert (int(row.supply_units), int(row.held_units), row.paused) == (0, 0, True)
    with suite.world.database.reading() as session, pytest.raises(Unavailable):
        captable.get_token(session, adopted.token)
    entry = acts(adopted)[-1]
    assert (entry.act, entry.facts["first_block"]) == ("token_taken_back", was.block_number)
    suite.assert_exact()

    again(suite)
    suite.index()
    meanwhile = now()
    read_all(suite)

    adopted.assert_exact()
    suite.assert_exact()
    assert_untold(adopted, meanwhile)


def assert_untold(suite: Suite, moment: datetime) -> None:
    """What nothing was told of is not told now as what was known then."""
    with suite.world.database.reading() as session:
        token = captable.get_token(session, suite.token)
        block = known_block_at(session, CHAIN_ID, None, moment)
        with pytest.raises(Conflict) as refused:
            require_known(session, token, moment, block=block.number)
    assert refused.value.code == "token_read_since"


def test_reorg__token_does_not_come_again__is_refused_once_that_is_final(
    suite: Suite, adopted: Suite
) -> None:
    suite.world.node.roll_back(LIVED)
    suite.world.node.mine(10)
    suite.index()
    behind = CatchUp(suite.world.database, suite.world.client)
    assert not behind.advance()
    Guard(suite.world.database, suite.world.client, finality=2).note_final()

    read_all(suite)

    with suite.world.database.reading() as session:
        with pytest.raises(Conflict, match="no contract stands"):
            captable.get_token(session, adopted.token)
        assert session.get_one(SyncCursor, CHAIN_ID).degraded is None
    assert acts(adopted)[-1].act == "token_refused"


def test_reorg__adopted_from_our_own_factory__its_deployment_is_read_once(
    suite: Suite, adopted: Suite
) -> None:
    named(suite, "Theirs", "TREXFactory")
    suite.world.node.roll_back(LIVED)
    deployed_by_somebody(suite)
    indexer = Indexer(suite.world.database, suite.world.client)
    assert indexer.advance(), "the old branch is taken back"
    # Where it is taken back to, it has caught up already.
    CatchUp(suite.world.database, suite.world.client).advance()
    assert row_of(adopted).caught_up_to is None
    assert cursor_of(suite.world.database).number < suite.world.client.head().number

    suite.index(indexer)

    adopted.assert_exact()
    suite.assert_exact()

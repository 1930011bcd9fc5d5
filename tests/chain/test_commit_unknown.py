"""A COMMIT whose answer is lost: the cursor says whether it happened."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import OperationalError

from chain.sync.indexer import Indexer
from tests.chain.faults import Breaks
from tests.chain.outcomes import everything
from tests.chain.suite import Suite, cursor_of, shuffle

pytestmark = pytest.mark.chain

SECOND = 2
"""The first transaction of a turn opens the cursor, the second applies the first range."""


@pytest.fixture
def held(suite: Suite) -> Suite:
    for number in range(5):
        suite.mint(number, 10_000)
    suite.index()
    shuffle(suite, seed=1, blocks=5)
    return suite


def test_commit__happened_but_the_answer_is_lost__is_not_applied_again(held: Suite) -> None:
    database = Breaks(held.world.database, after=True, left=SECOND)
    indexer = Indexer(database, held.world.client)

    assert indexer.advance()
    assert not indexer.advance()

    held.assert_exact()
    database.dispose()


def test_commit__did_not_happen__is_told_and_applied_by_the_next_turn(held: Suite) -> None:
    before, cursor = everything(held.world.database), cursor_of(held.world.database)
    database = Breaks(held.world.database, after=False, left=SECOND)
    indexer = Indexer(database, held.world.client)

    with pytest.raises(OperationalError):
        indexer.advance()
    assert everything(held.world.database) == before
    assert cursor_of(held.world.database).hash == cursor.hash

    held.index(indexer)
    held.assert_exact()
    database.dispose()

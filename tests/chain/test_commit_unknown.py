"""A COMMIT whose answer is lost: the cursor says whether it happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from chain.sync.indexer import Indexer
from registry.kernel.db import Database
from tests.chain.outcomes import everything
from tests.chain.suite import Suite, cursor_of, shuffle

pytestmark = pytest.mark.chain

SECOND = 2
"""The first transaction of a turn opens the cursor, the second applies the first range."""


class LosesOneAnswer(Database):
    """A database whose connection breaks at the COMMIT of a range, before or after it happens."""

    def __init__(self, database: Database, *, after: bool) -> None:
        super().__init__(database.url)
        self._after = after
        self._begun = 0

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        self._begun += 1
        breaks = self._begun == SECOND
        with super().transaction() as session:
            yield session
            if breaks and not self._after:
                raise lost()
        if breaks:
            raise lost()


def lost() -> OperationalError:
    return OperationalError("COMMIT", None, Exception("server closed the connection unexpectedly"))


@pytest.fixture
def held(suite: Suite) -> Suite:
    for number in range(5):
        suite.mint(number, 10_000)
    suite.index()
    shuffle(suite, seed=1, blocks=5)
    return suite


def test_commit__happened_but_the_answer_is_lost__is_not_applied_again(held: Suite) -> None:
    database = LosesOneAnswer(held.world.database, after=True)
    indexer = Indexer(database, held.world.client)

    assert indexer.advance()
    assert not indexer.advance()

    held.assert_exact()
    database.dispose()


def test_commit__did_not_happen__is_told_and_applied_by_the_next_turn(held: Suite) -> None:
    before, cursor = everything(held.world.database), cursor_of(held.world.database)
    database = LosesOneAnswer(held.world.database, after=False)
    indexer = Indexer(database, held.world.client)

    with pytest.raises(OperationalError):
        indexer.advance()
    assert everything(held.world.database) == before
    assert cursor_of(held.world.database).hash == cursor.hash

    held.index(indexer)
    held.assert_exact()
    database.dispose()

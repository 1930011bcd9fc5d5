"""The arena of the short form: opened once by each process that plays schedules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.chaos.sync.arena import Arena, open_arena
from tests.conftest import DatabaseMaker


@pytest.fixture(scope="session")
def arena(make_database: DatabaseMaker) -> Iterator[Arena]:
    with make_database() as database, open_arena(database) as arena:
        yield arena

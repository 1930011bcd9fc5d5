"""The short form of `make fuzz-api`: some walks along the links of the description."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from tests.api.conftest import DatabaseMaker
from tests.api.house import House, house_settings, open_house
from tests.fuzz.play import schema_of, walk
from tests.fuzz.run import asker_of

pytestmark = pytest.mark.db

BATCHES = 2
LEAST_REQUESTS = 200


@pytest.fixture
def house(
    make_database: DatabaseMaker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    settings = house_settings(tmp_path_factory.mktemp("fuzz"))
    with make_database() as database, open_house(settings, database) as house:
        yield house


def test_walks__along_the_links__are_answered_as_described(house: House) -> None:
    asker = asker_of(house, seed=1)
    for _ in itertools.islice(walk(asker, schema_of(asker, ""), seed=1), BATCHES):
        pass

    assert asker.played.failures == {}
    assert asker.played.requests > LEAST_REQUESTS

"""The API, served to the tests from within, on a database that really commits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import structlog

from registry.kernel.db import Database
from registry.kernel.log import configure_logging
from registry.kernel.settings import Settings
from tests.api.house import House, house_settings, open_house
from tests.api.moves import Moves, minted, moves
from tests.api.other_chain import ONE, followed
from tests.api.town import Town, build_town

DatabaseMaker = Callable[[], AbstractContextManager[Database]]


@pytest.fixture(scope="module", autouse=True)
def quiet_log() -> Iterator[None]:
    """Keep faults out of the report: a test says itself which answer it did not expect."""
    configure_logging("critical")
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def api_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return house_settings(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def house(make_database: DatabaseMaker, api_settings: Settings) -> Iterator[House]:
    """The API of one test module; every test brings people and things of its own."""
    with make_database() as database, open_house(api_settings, database) as house:
        yield house


@pytest.fixture
def fresh_house(fresh_database: Database, tmp_path: Path) -> Iterator[House]:
    """An API with nothing in it."""
    with open_house(house_settings(tmp_path), fresh_database) as house:
        yield house


@pytest.fixture(scope="session")
def town(make_database: DatabaseMaker, api_settings: Settings) -> Iterator[Town]:
    """Something in every state; only tests that change nothing may use it."""
    with make_database() as database, open_house(api_settings, database) as house:
        yield build_town(house)


@pytest.fixture(scope="module")
def ours(house: House) -> Moves:
    """A token of the platform, at the same address as one on the other chain."""
    chain = moves(house)
    chain.mine(minted(ONE, 7))
    return chain


@pytest.fixture(scope="module")
def there(house: House, ours: Moves) -> Iterator[str]:
    """The address of that one, on a chain that is followed."""
    with followed(house, ours) as address:
        yield address

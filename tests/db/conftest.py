from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any

import pytest
from sqlmodel import Session

from registry.document.store import FolderStore
from registry.kernel.db import Database
from registry.kernel.vault import Vault
from tests import ledger, sales
from tests.conftest import DatabaseMaker
from tests.db.stage import Scene, Stage, StageMaker
from tests.factories import Desk
from tests.ledger import Ledger


@pytest.fixture(scope="session")
def make_stage(
    make_database: DatabaseMaker, vault: Vault, tmp_path_factory: pytest.TempPathFactory
) -> StageMaker:
    """Give a maker of databases in which something is committed already.

    A module that overrides `database` with one of these gives `session` and `desk` to its tests
    on it.
    """

    @contextmanager
    def make(build: Callable[[Desk], Scene]) -> Iterator[Stage[Scene]]:
        store = FolderStore(tmp_path_factory.mktemp("documents"))
        with make_database() as database:
            with database.transaction() as session:
                scene = build(Desk(session, vault, store))
            yield Stage(database, scene)

    return make


@pytest.fixture(scope="session")
def shelf_stage(make_stage: StageMaker) -> Iterator[Callable[[tuple[int, ...]], Stage[Any]]]:
    """Give what makes, once, a database with a live token of so many units to each holder.

    Without units it is an apartment in the name of its wrapper.
    """
    with ExitStack() as stack:

        @cache
        def stage(units: tuple[int, ...]) -> Stage[Any]:
            build: Callable[[Desk], Any] = partial(_live, units=units)
            return stack.enter_context(make_stage(build if units else sales.wrapped_apartment))

        yield stage


def _live(desk: Desk, *, units: tuple[int, ...]) -> Ledger:
    return ledger.live(desk, *units)


@pytest.fixture(scope="module")
def shelved(
    request: pytest.FixtureRequest, shelf_stage: Callable[[tuple[int, ...]], Stage[Any]]
) -> Stage[Any] | None:
    """What a module asks for by `ON_SHELF`, where most of its tests begin with that."""
    units: tuple[int, ...] | None = getattr(request.module, "ON_SHELF", None)
    return None if units is None else shelf_stage(units)


@pytest.fixture(scope="module")
def database(database: Database, shelved: Stage[Any] | None) -> Database:
    return database if shelved is None else shelved.database


@pytest.fixture
def shelf(
    request: pytest.FixtureRequest, shelved: Stage[Any] | None, session: Session
) -> dict[tuple[int, ...], Callable[[], Any]]:
    if shelved is None:
        return {}
    return {request.module.ON_SHELF: partial(shelved.on, session)}

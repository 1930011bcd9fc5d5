from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from registry.document.store import FolderStore
from registry.kernel.vault import Vault
from tests.conftest import DatabaseMaker
from tests.db.stage import Scene, Stage, StageMaker
from tests.factories import Desk


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

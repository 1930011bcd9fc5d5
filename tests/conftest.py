"""Fixtures that every kind of test shares: one embedded PostgreSQL, made by the migrations."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import psycopg
import pytest
from cryptography.fernet import Fernet
from hypothesis import settings
from psycopg import sql
from sqlmodel import Session

from registry.document.store import DocumentStore, FolderStore
from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.embedded import DATABASE, EmbeddedPostgres
from registry.kernel.vault import Vault
from tests.factories import Desk, panel_valuer
from tests.watcher import ends_with_us

settings.register_profile("quick", deadline=None, max_examples=40)
settings.register_profile("thorough", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


# What is imported stays: to look through it for garbage, meanwhile and ever after, is lost time.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


LONGEST_FIRST = ("e2e", "chain", "db", "unit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no process is alone with it at the end."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    marks = (mark.name for mark in item.iter_markers())
    ranks = (LONGEST_FIRST.index(name) for name in marks if name in LONGEST_FIRST)
    return min(ranks, default=len(LONGEST_FIRST))


MEMORY = Path("/dev/shm")
MEMORY_BYTES = 8 * 2**30


@contextmanager
def open_folder(*, at: Path | None = None) -> Iterator[Path]:
    """Give a folder that PostgreSQL's account can enter.

    pytest closes its own ones to it whenever another run of pytest begins.

    Parameters
    ----------
    at
        Where; by default where temporary files go.
    """
    with tempfile.TemporaryDirectory(
        prefix="milkiyat-", dir=at, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def in_memory() -> Path | None:
    """Give a place in memory with room for every test's database, if the machine has one.

    A copy of a database is a thousand files: made in a tenth of the time there.
    """
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_BYTES:
        return MEMORY
    return None


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    with open_folder(at=in_memory()) as folder:
        yield folder


EMPTY = "empty"


class DatabaseMaker(Protocol):
    """Makes databases; each is dropped when its context ends.

    Parameters
    ----------
    of
        The database to copy; without it, one as the migrations make it, with a valuer on the
        panel.
    empty
        Without the valuer: nothing was ever recorded, and the journal is empty.
    """

    def __call__(
        self, of: Database | None = None, *, empty: bool = False
    ) -> AbstractContextManager[Database]: ...


@pytest.fixture(scope="session")
def make_database() -> Iterator[DatabaseMaker]:
    """Give a maker of migrated databases, all copies of one to which nobody writes."""
    numbers = itertools.count(1)
    # A name that is free again keeps its engine, which remembers compiled statements.
    free: list[Database] = []
    with (
        open_folder(at=in_memory()) as folder,
        ends_with_us(folder / "postgres", folder),
        EmbeddedPostgres(folder / "postgres") as server,
    ):
        original = Database(server.start())
        with _admin(original) as admin:
            # Nothing here has to survive a power cut.
            for setting in ("fsync", "full_page_writes", "synchronous_commit"):
                admin.execute(f"ALTER SYSTEM SET {setting} = off")
            admin.execute("SELECT pg_reload_conf()")
            migrate.upgrade(original)
            original.dispose()
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(EMPTY), sql.Identifier(_name(original))
                )
            )
            nothing = Database(original.url.replace(f"/{DATABASE}?", f"/{EMPTY}?", 1))
            with original.transaction() as session:
                # As every register has one before anything can be registered.
                session.add(panel_valuer())
            original.dispose()

            @contextmanager
            def make(of: Database | None = None, *, empty: bool = False) -> Iterator[Database]:
                source = of or (nothing if empty else original)
                source.dispose()
                if free:
                    copy = free.pop()
                else:
                    name = f"copy_{next(numbers)}"
                    copy = Database(original.url.replace(f"/{DATABASE}?", f"/{name}?", 1))
                admin.execute(
                    sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY FILE_COPY").format(
                        sql.Identifier(_name(copy)), sql.Identifier(_name(source))
                    )
                )
                yield copy
                copy.dispose()
                admin.execute(
                    sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(_name(copy)))
                )
                free.append(copy)

            yield make


def _admin(database: Database) -> psycopg.Connection[tuple[object, ...]]:
    url = database.driver_url.replace(f"/{DATABASE}?", "/postgres?", 1)
    return psycopg.connect(url, autocommit=True)


def _name(database: Database) -> str:
    assert database.engine.url.database is not None
    return database.engine.url.database


@pytest.fixture(scope="session")
def database(make_database: DatabaseMaker) -> Iterator[Database]:
    """The database of `session`; nothing is ever committed to it."""
    with make_database() as database:
        yield database


@pytest.fixture
def session(database: Database) -> Iterator[Session]:
    """A session whose work is taken back.

    Deferred constraints fire at COMMIT, which never comes: a test that wants them asks with
    ``SET CONSTRAINTS ALL IMMEDIATE``.
    """
    with taken_back(database) as session:
        yield session


@contextmanager
def taken_back(database: Database) -> Iterator[Session]:
    """Give a session of which nothing is left at the end."""
    with database.engine.connect() as connection:
        outer = connection.begin()
        with Session(
            connection, join_transaction_mode="create_savepoint", expire_on_commit=False
        ) as session:
            yield session
        outer.rollback()


@pytest.fixture
def fresh_database(make_database: DatabaseMaker) -> Iterator[Database]:
    """A database of the test's own, to which it really commits."""
    with make_database() as database:
        yield database


@pytest.fixture
def empty_database(make_database: DatabaseMaker) -> Iterator[Database]:
    """The same, in which nothing was ever recorded: its journal is empty."""
    with make_database(empty=True) as database:
        yield database


@pytest.fixture(scope="session")
def vault() -> Vault:
    return Vault(Fernet.generate_key().decode(), Fernet.generate_key().decode())


@pytest.fixture
def store(tmp_path: Path) -> DocumentStore:
    return FolderStore(tmp_path / "documents")


@pytest.fixture
def shelf() -> dict[tuple[int, ...], Callable[[], Any]]:
    """What stands in the database of `session` already: nothing."""
    return {}


@pytest.fixture
def desk(
    session: Session,
    vault: Vault,
    store: DocumentStore,
    shelf: dict[tuple[int, ...], Callable[[], Any]],
) -> Desk:
    """Where the factories work, within `session`."""
    return Desk(session, vault, store, shelf)

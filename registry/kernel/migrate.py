"""Bringing the database to the schema that this code expects."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import command
from alembic.config import Config
from psycopg.errors import DeadlockDetected, LockNotAvailable
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from registry.kernel.db import Database, DatabaseBusy
from registry.kernel.settings import ROOT

MIGRATION_LOCK = 4_242_001
"""Advisory lock: of several programs that start at once, one migrates and the others wait."""


TURN_WAIT = "10min"
"""So long another program may migrate, a large register say, while this one waits."""

TABLE_WAIT = "10s"
"""So long a statement waits for a table: whoever reads and writes waits behind it."""


def upgrade(database: Database, revision: str = "head") -> None:
    """Migrate up to `revision`, in one transaction.

    Raises
    ------
    DatabaseBusy
        Another program migrates for very long, or holds a table that has to change.
    """
    with _clear_waits(), database.engine.begin() as connection:
        connection.execute(text(f"SET LOCAL lock_timeout = '{TURN_WAIT}'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        connection.execute(text(f"SET LOCAL lock_timeout = '{TABLE_WAIT}'"))
        command.upgrade(_config(connection, target=revision), revision)


@contextmanager
def _clear_waits() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        if not isinstance(error.orig, LockNotAvailable | DeadlockDetected):
            raise
        raise DatabaseBusy(
            "The schema was not brought up to date: another program holds what has to change, and "
            "nothing was changed. Stop what runs on this database, and start again."
        ) from error


def downgrade(database: Database, revision: str) -> None:
    """Migrate down to `revision`; for tests of the migrations."""
    with database.engine.begin() as connection:
        command.downgrade(_config(connection, target=revision), revision)


def check(database: Database) -> None:
    """Compare the models with the migrated schema; raises when they differ."""
    with database.engine.begin() as connection:
        command.check(_config(connection))


def _config(connection: object, *, target: str | None = None) -> Config:
    config = Config(ROOT / "alembic.ini")
    config.attributes["connection"] = connection
    config.attributes["target"] = target
    return config

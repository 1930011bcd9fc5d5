"""Bringing the database to the schema that this code expects."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from registry.kernel.db import Database
from registry.kernel.settings import ROOT

_MIGRATION_LOCK = 4_242_001
"""Advisory lock: of several programs that start at once, one migrates and the others wait."""


def upgrade(database: Database, revision: str = "head") -> None:
    """Migrate up to `revision`, in one transaction."""
    with database.engine.begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
        command.upgrade(_config(connection, target=revision), revision)


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

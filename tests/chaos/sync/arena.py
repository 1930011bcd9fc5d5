"""What every schedule of a run shares: database server, proxies, and the forking server."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from registry.captable import projection
from registry.captable.events import ProjectedBlock
from registry.kernel.db import Database
from registry.operation.models import PlatformContract
from tests.chaos.model.acts import CASE_AGENT, FACTORY
from tests.chaos.model.chain import GENESIS, Block
from tests.chaos.model.node import CHAIN_ID
from tests.chaos.model.server import ModelServer
from tests.chaos.proxy_postgres import PostgresProxy
from tests.chaos.sync.process import TIMEOUT_SECONDS
from tests.forking import forking_context

TEMPLATE = "chaos_sync"


class Arena:
    """Where schedules are played, one after the other.

    Parameters
    ----------
    original
        A migrated database, of which copies are made; nobody may be connected to it.
    """

    def __init__(self, original: Database) -> None:
        self._original = original
        self._numbers = itertools.count(1)
        self.processes = forking_context()
        url = original.engine.url
        self._user = url.username or ""
        socket = Path(str(url.query["host"])) / f".s.PGSQL.{url.query['port']}"
        self.proxy = PostgresProxy(socket)
        self.server = ModelServer(3 * TIMEOUT_SECONDS)
        self.admin = psycopg.connect(self._url_of("postgres", plain=True), autocommit=True)
        self._make_template()

    def close(self) -> None:
        self.admin.close()
        self.server.close()
        self.proxy.close()

    def _make_template(self) -> None:
        self._original.dispose()
        self.drop(TEMPLATE)
        assert self._original.engine.url.database
        self.copy(self._original.engine.url.database, TEMPLATE)
        database = Database(self.direct(TEMPLATE))
        with database.transaction() as session:
            for name, address in (("TREXFactory", FACTORY), ("CaseAgent", CASE_AGENT)):
                row = PlatformContract(
                    chain_id=CHAIN_ID, name=name, address=address, block_number=0
                )
                session.add(row)
            projection.open_cursor(session, CHAIN_ID, _projected(GENESIS), 0)
        database.dispose()

    def fresh(self) -> str:
        """Make a database that knows the platform and the first block; return its name."""
        return self.copy(TEMPLATE, f"{TEMPLATE}_{next(self._numbers)}")

    def copy(self, source: str, target: str) -> str:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY {}").format(
            sql.Identifier(target), sql.Identifier(source), sql.Identifier("file_copy")
        )
        self.admin.execute(statement)
        return target

    def drop(self, name: str) -> None:
        statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        self.admin.execute(statement.format(sql.Identifier(name)))

    def disconnect(self, name: str) -> None:
        """End what is connected to a database, and wait until it is."""
        self.admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = %s",
            [name],
        )

    def direct(self, name: str) -> str:
        """Give the URL of a database without a proxy before it."""
        return self._url_of(name, plain=False)

    def proxied(self, name: str) -> str:
        return self.proxy.url(name, self._user)

    def _url_of(self, name: str, *, plain: bool) -> str:
        url = self._original.engine.url.set(database=name)
        text = url.render_as_string(hide_password=False)
        return text.replace("postgresql+psycopg://", "postgresql://") if plain else text


def _projected(block: Block) -> ProjectedBlock:
    mined_at = datetime.fromtimestamp(block.timestamp, UTC)
    return ProjectedBlock(block.number, block.hash, block.parent_hash, mined_at)


@contextmanager
def open_arena(original: Database) -> Iterator[Arena]:
    arena = Arena(original)
    try:
        yield arena
    finally:
        arena.close()

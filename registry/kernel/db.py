"""The database: sessions that write, sessions that only read, and the checks at start."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from datetime import datetime
from functools import partial

import psycopg
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, InvalidatePoolError, OperationalError
from sqlmodel import Session

from registry.kernel.lending import DriverConnection, borrow, give_back
from registry.kernel.reading import ReadSession

__all__ = ["Database", "DatabaseUnreachable", "DriverConnection", "ReadSession"]


class DatabaseUnreachable(Exception):
    """DATABASE_URL is wrong, or nothing answers there."""


class DatabaseBusy(Exception):
    """Another program holds what has to change before this one can start."""


class Database:
    """A pool of connections to one PostgreSQL database.

    Parameters
    ----------
    url : str
        ``postgresql+psycopg://user:password@host:port/name``; the driver may be left out.
    statement_seconds
        The server stops what takes longer; 0: as long as server, role and URL let it take.

    Raises
    ------
    DatabaseUnreachable
        The URL cannot be understood.
    """

    def __init__(self, url: str, *, pool_size: int = 12, statement_seconds: int = 0) -> None:
        self.pool_size = pool_size
        try:
            parsed = make_url(url)
            if parsed.drivername in {"postgres", "postgresql"}:
                parsed = parsed.set(drivername="postgresql+psycopg")
            if parsed.drivername != "postgresql+psycopg":
                raise DatabaseUnreachable(
                    f"DATABASE_URL names {parsed.drivername!r}; Milkiyat needs PostgreSQL 18 or "
                    "newer: postgresql://user:password@host:port/name"
                )
            self.engine: Engine = create_engine(
                parsed,
                pool_size=pool_size,
                max_overflow=pool_size,
                connect_args={"connect_timeout": 5},
                # What a statement was given may name a person, and faults are logged.
                hide_parameters=True,
            )
            event.listen(self.engine, "connect", _tell_in_utc)
            if statement_seconds:
                event.listen(self.engine, "connect", partial(_limit_statements, statement_seconds))
            event.listen(self.engine, "checkout", _require_open)
        except ArgumentError as error:
            raise DatabaseUnreachable(
                "DATABASE_URL is not a database URL. Write it as "
                "postgresql://user:password@host:port/name"
            ) from error
        self.url = parsed.render_as_string(hide_password=False)
        self.guard: Callable[[Session], None] | None = None

    def guarded(self, guard: Callable[[Session], None]) -> Database:
        """Give the same database, each of whose transactions begins with `guard`, which may raise.

        Readings are not guarded.
        """
        found = copy(self)
        found.guard = guard
        return found

    @property
    def driver_url(self) -> str:
        """The URL as psycopg itself reads it."""
        return self.url.replace("postgresql+psycopg://", "postgresql://", 1)

    def check(self) -> None:
        """Connect once.

        Raises
        ------
        DatabaseUnreachable
            Nothing answers, or it refuses us.
        """
        try:
            with self.engine.connect() as connection:
                connection.execute(text("SELECT 1"))
        except OperationalError as error:
            reason = str(error.orig).strip().splitlines()[0]
            raise DatabaseUnreachable(
                f"The database of DATABASE_URL does not answer: {reason}"
            ) from error

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Give a session that commits on leaving, and rolls back on any exception."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            if self.guard is not None:
                self.guard(session)
            yield session

    @contextmanager
    def reading(self, *, known_at: datetime | None = None) -> Iterator[ReadSession]:
        """Give a session in one read-only, repeatable transaction.

        Parameters
        ----------
        known_at
            Read legal rows as the register knew them at this moment: the views of the schema
            `past` stand before the tables of the same names (ADR 0015).
        """
        with self.open_reading() as session:
            if known_at is not None:
                moment = known_at.isoformat(timespec="microseconds")
                session.connection().execute(
                    text(
                        "SELECT set_config('search_path', 'past, public', true),"
                        " set_config('milkiyat.known_at', :moment, true)"
                    ),
                    {"moment": moment},
                )
            yield session
            session.finish()

    def open_reading(self) -> ReadSession:
        """Give a session of one read-only, repeatable transaction, which begins when it is asked.

        Until then it waits for nothing: no connection, no question to the server.
        """
        return ReadSession(self.engine)

    @contextmanager
    def autocommit(self) -> Iterator[DriverConnection]:
        """Give the driver's own connection, on which each statement commits by itself.

        For what is asked before every request.
        """
        lent = borrow(self.engine)
        try:
            yield lent.driver
        finally:
            give_back(lent)

    def dispose(self) -> None:
        self.engine.dispose()


def _tell_in_utc(connection: psycopg.Connection, *_: object) -> None:
    """Have a new connection tell times in UTC, whatever server, role or PGTZ say.

    `options` of the connection would do it for the first two alone, and instead of the options
    that somebody gave. The server says at the start in which zone it is.
    """
    if connection.info.parameter_status("TimeZone") != "UTC":
        _set_for_good(connection, b"SET timezone TO 'UTC'")


def _limit_statements(seconds: int, connection: psycopg.Connection, *_: object) -> None:
    """Have the server stop each statement of a new connection that takes longer.

    Once for a connection, so that no request has to say it.
    """
    _set_for_good(connection, f"SET statement_timeout TO '{seconds}s'".encode())


def _set_for_good(connection: psycopg.Connection, setting: bytes) -> None:
    """Set what a transaction that is taken back does not take back."""
    connection.autocommit = True
    connection.execute(setting)
    connection.autocommit = False


def _require_open(connection: psycopg.Connection, *_: object) -> None:
    """Have the pool connect anew where the server has said something while nothing was asked.

    An idle connection has nothing to read but its end. To look costs nothing, unlike the question
    and answer of `pool_pre_ping`, which go before every transaction.

    Raises
    ------
    InvalidatePoolError
        The pool is to forget its connections.
    """
    if connection.closed:
        raise InvalidatePoolError("the connection is closed")
    if connection.autocommit:
        # Whoever borrowed it was forgotten, not given back: a transaction would commit by pieces.
        connection.autocommit = False
    said = select.poll()
    said.register(connection.fileno(), select.POLLIN)
    if said.poll(0):
        raise InvalidatePoolError("the server has ended the connection")

"""Transactions that meet: started at one moment, or one in the middle of another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import text
from sqlmodel import Session

from registry.kernel.db import Database

PATIENCE_SECONDS = 10.0

Result = TypeVar("Result")
Act = Callable[[Session], Result]


def together(database: Database, acts: Sequence[Act[Result]]) -> list[Result | Exception]:
    """Run each act in a transaction of its own, all from one instant; return what came of each."""
    start = threading.Barrier(len(acts))

    def run(act: Act[Result]) -> Result | Exception:
        try:
            with database.transaction() as session:
                session.connection()
                start.wait(PATIENCE_SECONDS)
                return act(session)
        except Exception as error:  # noqa: BLE001 - the outcome is what the test is about
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


@contextmanager
def meanwhile(database: Database, act: Act[Result]) -> Iterator[Future[Result]]:
    """Start `act` in a transaction of its own, and go on once it waits for a lock of ours."""

    def run() -> Result:
        with database.transaction() as session:
            return act(session)

    with ThreadPoolExecutor(1) as pool:
        waiting = _count_waiting(database)
        future = pool.submit(run)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while _count_waiting(database) == waiting:
            assert not future.done(), f"it did not wait: {future.exception() or future.result()}"
            assert time.monotonic() < deadline, "it neither waits nor ends"
            time.sleep(0.005)
        yield future


def _count_waiting(database: Database) -> int:
    with database.engine.connect() as connection:
        return int(
            connection.execute(
                text(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
            ).scalar_one()
        )

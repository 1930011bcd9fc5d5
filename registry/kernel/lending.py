"""The driver's own connections, out of the pool of SQLAlchemy and back: each ends what it begins.

Half of the time of a session is SQLAlchemy's own. What is asked before every request, and whoever
only reads, asks the driver.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, PoolProxiedConnection

DriverConnection = psycopg.Connection[tuple[Any, ...]]


class Lent(NamedTuple):
    """A connection out of the pool, and the driver's own of it."""

    pooled: PoolProxiedConnection
    driver: DriverConnection


def borrow(engine: Engine) -> Lent:
    """Take a connection on which each statement commits by itself; `give_back` is to follow.

    Raises
    ------
    psycopg.OperationalError
        The server does not let anybody in.
    """
    pooled = engine.raw_connection()
    driver = cast("DriverConnection", pooled.driver_connection)
    driver.autocommit = True
    return Lent(pooled, driver)


def give_back(lent: Lent) -> None:
    """Put a connection back as it was; one that has broken is thrown away.

    What is not committed is taken back, and every statement that was prepared on it forgotten.
    """
    pooled, driver = lent
    if not pooled.is_valid:
        pooled.close()  # SQLAlchemy has thrown it away already
        return
    try:
        if driver.pgconn.transaction_status != TransactionStatus.IDLE:
            driver.rollback()
        driver.autocommit = False
    except psycopg.Error as error:
        # The pool would try to roll back, and log that it cannot.
        pooled.invalidate(error)
    else:
        pooled.close()

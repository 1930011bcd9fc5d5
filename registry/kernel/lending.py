"""The driver's own connections, out of the pool of SQLAlchemy and back: each ends what it begins.

Half of the time of a session is SQLAlchemy's own. What is asked before every request, and whoever
only reads, asks the driver.
"""

from __future__ import annotations

from typing import Any, cast

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, PoolProxiedConnection

DriverConnection = psycopg.Connection[tuple[Any, ...]]


def borrow(engine: Engine) -> PoolProxiedConnection:
    """Take a connection on which each statement commits by itself; `give_back` is to follow.

    Raises
    ------
    psycopg.OperationalError
        The server does not let anybody in.
    """
    lent = engine.raw_connection()
    driver_of(lent).autocommit = True
    return lent


def driver_of(lent: PoolProxiedConnection) -> DriverConnection:
    return cast("DriverConnection", lent.driver_connection)


def give_back(lent: PoolProxiedConnection) -> None:
    """Put a connection back as it was; one that has broken is thrown away.

    What is not committed is taken back, and every statement that was prepared on it forgotten.
    """
    if not lent.is_valid:
        lent.close()  # SQLAlchemy has thrown it away already
        return
    driver = driver_of(lent)
    try:
        if driver.info.transaction_status != TransactionStatus.IDLE:
            driver.rollback()
        driver.autocommit = False
    except psycopg.Error as error:
        # The pool would try to roll back, and log that it cannot.
        lent.invalidate(error)
    else:
        lent.close()

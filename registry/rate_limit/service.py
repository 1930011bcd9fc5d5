"""Taking from a token bucket: one statement, which counts for every process at once.

A bucket that holds a minute's quota and is refilled evenly is told by one moment, at which it is
full again (the generic cell rate algorithm): taking moves that moment on by the time which one
token needs to come back, unless it would lie more than a minute ahead.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from registry.kernel.db import DriverConnection

WINDOW_SECONDS = 60
SWEEP_ROWS = 1_000

_TAKE = """
    INSERT INTO rate_limit_bucket AS bucket (key, full_at)
    VALUES (%(key)s, clock_timestamp() + make_interval(secs => %(cost)s))
    ON CONFLICT (key) DO UPDATE SET
        full_at = greatest(bucket.full_at, clock_timestamp()) + make_interval(secs => %(cost)s)
    WHERE greatest(bucket.full_at, clock_timestamp()) + make_interval(secs => %(cost)s)
        <= clock_timestamp() + make_interval(secs => %(window)s)
    RETURNING CAST(extract(epoch FROM full_at - clock_timestamp()) AS float8)
"""
_FULL_IN = (
    "SELECT CAST(extract(epoch FROM full_at - clock_timestamp()) AS float8)"
    " FROM rate_limit_bucket WHERE key = %(key)s"
)
_SWEEP = """
    DELETE FROM rate_limit_bucket WHERE key = ANY(ARRAY(
        SELECT key FROM rate_limit_bucket WHERE full_at < clock_timestamp()
        LIMIT %(rows)s FOR UPDATE SKIP LOCKED
    ))
"""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a quota.

    Parameters
    ----------
    name
        Which quota: ``principal`` or ``address``.
    full_in
        Seconds until the bucket is full again.
    wait
        Seconds until one more is allowed; 0 where this one was.
    """

    name: str
    quota: int
    full_in: float
    wait: float

    @property
    def remaining(self) -> int:
        return max(0, math.floor(self.quota * (1 - self.full_in / WINDOW_SECONDS) + 1e-6))


def take(connection: DriverConnection, name: str, whose: str, quota: int) -> Allowance:
    """Take one token of `quota` a minute; the connection commits each statement by itself."""
    key = hashlib.sha256(f"{name}:{whose}".encode()).digest()
    cost = WINDOW_SECONDS / quota
    taken = connection.execute(_TAKE, {"key": key, "cost": cost, "window": WINDOW_SECONDS})
    row = taken.fetchone()
    if row is not None:
        return Allowance(name, quota, row[0], 0)
    # Between the two statements the row may have been swept: then the bucket is full.
    left = connection.execute(_FULL_IN, {"key": key}).fetchone()
    full_in = left[0] if left else 0.0
    return Allowance(name, quota, full_in, max(full_in + cost - WINDOW_SECONDS, 0.001))


def sweep(connection: DriverConnection) -> int:
    """Forget buckets that are full, some at a time; return how many."""
    return connection.execute(_SWEEP, {"rows": SWEEP_ROWS}).rowcount

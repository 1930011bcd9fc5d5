"""Taking from a token bucket: one statement, which counts for every process at once.

A bucket that holds a minute's quota and is refilled evenly is told by one moment, at which it is
full again (the generic cell rate algorithm): taking moves that moment on by the time which one
token needs to come back, unless it would lie more than a minute ahead.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

from sqlalchemy import Connection, text

WINDOW_SECONDS = 60
SWEEP_ROWS = 1_000

_TAKE = text(
    """
    INSERT INTO rate_limit_bucket AS bucket (key, full_at)
    VALUES (:key, clock_timestamp() + make_interval(secs => :cost))
    ON CONFLICT (key) DO UPDATE SET
        full_at = greatest(bucket.full_at, clock_timestamp()) + make_interval(secs => :cost)
    WHERE greatest(bucket.full_at, clock_timestamp()) + make_interval(secs => :cost)
        <= clock_timestamp() + make_interval(secs => :window)
    RETURNING CAST(extract(epoch FROM full_at - clock_timestamp()) AS float8)
    """
)
_FULL_IN = text(
    "SELECT CAST(extract(epoch FROM full_at - clock_timestamp()) AS float8)"
    " FROM rate_limit_bucket WHERE key = :key"
)
_SWEEP = text(
    """
    DELETE FROM rate_limit_bucket WHERE key = ANY(ARRAY(
        SELECT key FROM rate_limit_bucket WHERE full_at < clock_timestamp()
        LIMIT :rows FOR UPDATE SKIP LOCKED
    ))
    """
)


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


def take(connection: Connection, name: str, whose: str, quota: int) -> Allowance:
    """Take one token of `quota` a minute; the connection commits each statement by itself."""
    key = hashlib.sha256(f"{name}:{whose}".encode()).digest()
    cost = WINDOW_SECONDS / quota
    taken = connection.execute(_TAKE, {"key": key, "cost": cost, "window": WINDOW_SECONDS})
    full_in = taken.scalar_one_or_none()
    if full_in is not None:
        return Allowance(name, quota, float(full_in), 0)
    # Between the two statements the row may have been swept: then the bucket is full.
    left = connection.execute(_FULL_IN, {"key": key}).scalar_one_or_none() or 0.0
    return Allowance(name, quota, float(left), max(float(left) + cost - WINDOW_SECONDS, 0.001))


def sweep(connection: Connection) -> int:
    """Forget buckets that are full, some at a time; return how many."""
    return connection.execute(_SWEEP, {"rows": SWEEP_ROWS}).rowcount

"""Token buckets that several processes share."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from registry.kernel.db import Database, DriverConnection
from registry.rate_limit.service import WINDOW_SECONDS, Allowance, sweep, take

pytestmark = pytest.mark.db


@pytest.fixture
def connection(fresh_database: Database) -> Iterator[DriverConnection]:
    with fresh_database.autocommit() as connection:
        yield connection


def wait_for(connection: DriverConnection, seconds: float) -> None:
    """Let time pass: every bucket is as it will be then."""
    connection.execute(
        "UPDATE rate_limit_bucket SET full_at = full_at - make_interval(secs => %s)", [seconds]
    )


def use_up(connection: DriverConnection, name: str, whose: str, quota: int) -> int:
    """Take until it is refused, and return how often it was not."""
    for taken in range(quota + 2):
        if take(connection, name, whose, quota).wait:
            return taken
    raise AssertionError("a quota has no end")


def test_take__quota_used_up__is_refused_until_one_is_back(
    connection: DriverConnection,
) -> None:
    quota = 10
    taken = [take(connection, "principal", "REG-7", quota) for _ in range(quota)]
    refused = take(connection, "principal", "REG-7", quota)

    assert [allowance.wait for allowance in taken] == [0] * quota
    assert [allowance.remaining for allowance in taken] == list(range(quota - 1, -1, -1))
    assert 5.5 < refused.wait <= 6
    assert refused.remaining == 0

    wait_for(connection, refused.wait - 0.4)
    assert take(connection, "principal", "REG-7", quota).wait > 0
    wait_for(connection, 0.4)
    assert take(connection, "principal", "REG-7", quota).wait == 0
    assert take(connection, "principal", "REG-7", quota).wait > 0


def test_take__refused__takes_nothing(connection: DriverConnection) -> None:
    use_up(connection, "address", "192.0.2.1", 3)

    waits = [take(connection, "address", "192.0.2.1", 3).wait for _ in range(20)]

    assert max(waits) <= 20, "asking in vain must not make the wait longer"


def test_take__after_a_minute__has_the_whole_quota_again(
    connection: DriverConnection,
) -> None:
    use_up(connection, "principal", "REG-7", 5)
    wait_for(connection, 10 * WINDOW_SECONDS)

    assert use_up(connection, "principal", "REG-7", 5) == 5


def test_take__another_s_bucket__is_another(connection: DriverConnection) -> None:
    use_up(connection, "principal", "REG-7", 2)

    assert take(connection, "principal", "REG-8", 2).wait == 0
    assert take(connection, "address", "REG-7", 2).wait == 0


def test_take__from_many_connections_at_once__allows_exactly_the_quota(
    fresh_database: Database,
) -> None:
    def ask(_: int) -> Allowance:
        with fresh_database.autocommit() as connection:
            return take(connection, "principal", "REG-7", 60)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, range(100)))

    # One token comes back each second; the loop takes far less than ten.
    assert 60 <= sum(answer.wait == 0 for answer in answers) <= 70


def test_sweep__full_buckets__go_and_others_stay(connection: DriverConnection) -> None:
    take(connection, "principal", "REG-7", 60)
    wait_for(connection, 5)
    take(connection, "principal", "REG-8", 2)

    assert sweep(connection) == 1
    assert connection.execute("SELECT count(*) FROM rate_limit_bucket").fetchone() == (1,)


def test_bucket__in_the_database__names_nobody_and_is_unlogged(
    connection: DriverConnection,
) -> None:
    take(connection, "principal", "REG-7", 60)

    said = connection.execute("SELECT CAST(b AS text) FROM rate_limit_bucket b").fetchone()
    kept = connection.execute(
        "SELECT CAST(relpersistence AS text) FROM pg_class WHERE relname = 'rate_limit_bucket'"
    ).fetchone()
    assert said is not None
    assert "REG-7" not in said[0]
    assert kept == ("u",)

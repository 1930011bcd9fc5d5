"""The dates and hours in which holders may transfer."""

from datetime import UTC, datetime, timedelta

import pytest
from brownie import reverts
from brownie.test import given, strategy
from hypothesis import settings
from suite import error

HOUR, DAY = 3_600, 86_400
PAKISTAN_OFFSET = 5 * HOUR
MONDAY_TO_FRIDAY, EVERY_DAY = 0b0011111, 0b1111111


@pytest.fixture(scope="module")
def exchange(window, accounts):
    """An account that stands for a compliance, as the module needs nothing of one."""
    window.bindCompliance(accounts[4], {"from": accounts[4]})
    return accounts[4]


@pytest.fixture(scope="module")
def suite(platform, agent, window):
    return platform.suite(agent, [window])


def moment(*parts):
    """Seconds since the epoch of a local time in Karachi."""
    local = datetime(*parts, tzinfo=UTC) - timedelta(seconds=PAKISTAN_OFFSET)
    return int(local.timestamp())


def is_open(window, exchange, timestamp):
    return window.isOpenAt(exchange, timestamp)


def test_window__nothing_set__always_open(window, exchange, now):
    assert is_open(window, exchange, 0)
    assert is_open(window, exchange, now())
    assert is_open(window, exchange, 2**64)


def test_set_dates__stored_and_announced(window, exchange):
    event = window.setDates(1_000, 2_000, {"from": exchange}).events["TransferDatesSet"]
    assert (event["compliance"], event["opensAt"], event["closesAt"]) == (exchange, 1_000, 2_000)
    assert tuple(window.windowOf(exchange))[:3] == (True, 1_000, 2_000)
    opened = [is_open(window, exchange, at) for at in (999, 1_000, 1_999, 2_000)]
    assert opened == [False, True, True, False]


def test_set_dates__open_ended_and_lifted(window, exchange):
    window.setDates(1_000, 0, {"from": exchange})
    assert not is_open(window, exchange, 999)
    assert is_open(window, exchange, 2**64)
    window.setDates(0, 0, {"from": exchange})
    assert is_open(window, exchange, 0)


@pytest.mark.parametrize("dates", [(2, 1), (2, 2)])
def test_set_dates__end_not_after_start__refused(window, exchange, dates):
    with reverts(error("TransferDatesInvalid", *dates)):
        window.setDates(*dates, {"from": exchange})


def test_set_hours__business_hours_in_karachi(window, exchange):
    hours = (9 * HOUR, 17 * HOUR, MONDAY_TO_FRIDAY, PAKISTAN_OFFSET)
    event = window.setHours(*hours, {"from": exchange}).events["TransferHoursSet"]
    said = [event[name] for name in ("dayStart", "dayEnd", "weekdays", "utcOffset")]
    assert (event["compliance"], *said) == (exchange, *hours)
    assert tuple(window.windowOf(exchange))[3:] == hours
    friday, saturday, monday = (2026, 11, 27), (2026, 11, 28), (2026, 11, 30)
    assert not is_open(window, exchange, moment(*friday, 8, 59, 59))
    assert is_open(window, exchange, moment(*friday, 9))
    assert is_open(window, exchange, moment(*friday, 16, 59, 59))
    assert not is_open(window, exchange, moment(*friday, 17))
    assert not is_open(window, exchange, moment(*saturday, 12))
    assert is_open(window, exchange, moment(*monday, 12))


def test_set_hours__lifted__always_open(window, exchange):
    window.setHours(1, 2, 1, 0, {"from": exchange})
    window.setHours(0, 0, 0, 0, {"from": exchange})
    assert all(is_open(window, exchange, hour * HOUR) for hour in range(0, 24 * 7, 5))


@pytest.mark.parametrize(
    "hours",
    [
        (2, 2, EVERY_DAY, 0),
        (3, 2, EVERY_DAY, 0),
        (0, DAY + 1, EVERY_DAY, 0),
        (0, DAY, 0, 0),
        (0, DAY, EVERY_DAY + 1, 0),
        (0, DAY, EVERY_DAY, 14 * HOUR + 1),
        (0, DAY, EVERY_DAY, -14 * HOUR - 1),
        (0, 0, EVERY_DAY, 0),
        (0, 0, 0, 1),
    ],
)
def test_set_hours__that_do_not_exist__refused(window, exchange, hours):
    with reverts(error("TransferHoursInvalid", *hours)):
        window.setHours(*hours, {"from": exchange})


@settings(max_examples=100)
@given(
    start=strategy("uint24", max_value=DAY - 1),
    length=strategy("uint24", min_value=1, max_value=DAY),
    weekdays=strategy("uint8", min_value=1, max_value=EVERY_DAY),
    offset=strategy("int24", min_value=-14 * HOUR, max_value=14 * HOUR),
    timestamp=strategy("uint64", min_value=DAY, max_value=253_370_764_800),
)
def test_is_open_at__any_hours__as_the_calendar_says(
    window, exchange, start, length, weekdays, offset, timestamp
):
    end = min(start + length, DAY)
    window.setHours(start, end, weekdays, offset, {"from": exchange})
    local = datetime.fromtimestamp(timestamp, UTC) + timedelta(seconds=offset)
    second = local.hour * HOUR + local.minute * 60 + local.second
    expected = bool(weekdays >> local.weekday() & 1) and start <= second < end
    assert is_open(window, exchange, timestamp) == expected


def test_is_open_at__first_hours_of_1970_in_the_west__do_not_wrap(window, exchange):
    window.setHours(0, DAY, 0b0000100, -5 * HOUR, {"from": exchange})
    assert is_open(window, exchange, 0), "still Wednesday there"
    assert not is_open(window, exchange, 5 * HOUR)


def test_token__closed__only_free_transfers_refused(suite, window, now, next_block_at):
    a, b = suite.person(), suite.person()
    suite.mint(a, 100)
    suite.open()
    opens = now() + 10 * DAY
    suite.set(window.setDates, opens, opens + DAY)
    refused = error("TransferWindowClosed", suite.compliance, now())
    assert suite.why(window, a, b, 1) == refused
    with reverts("Transfer not possible"):
        suite.send(a, b, 1)
    assert suite.why(window, None, b, 1) is None
    suite.mint(b, 1)
    suite.force(a, b, 1)
    suite.burn(b, 1)
    next_block_at(opens - 1)
    with reverts("Transfer not possible"):
        suite.send(a, b, 1)
    next_block_at(opens)
    suite.send(a, b, 1)
    next_block_at(opens + DAY - 1)
    suite.send(a, b, 1)
    next_block_at(opens + DAY)
    with reverts("Transfer not possible"):
        suite.send(a, b, 1)

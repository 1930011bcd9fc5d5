"""Lots that are locked after their mint."""

import pytest
from brownie import reverts
from brownie.test import given, strategy
from claims import DAY
from hypothesis import settings
from suite import CASE, error, key_of, new_wallet

YEAR = 365 * DAY


@pytest.fixture(scope="module")
def suite(platform, agent, lockup):
    suite = platform.suite(agent, [lockup])
    suite.set(lockup.setLockPeriod, YEAR)
    suite.open()
    return suite


@pytest.fixture(scope="module")
def people(suite):
    return [suite.person(), suite.person()]


@pytest.fixture
def mint_at(suite, next_block_at, now):
    """Return a function that mints some days from now, and gives the time of release."""
    begin = now()

    def mint(wallet, units, day):
        next_block_at(begin + day * DAY)
        suite.mint(wallet, units)
        return begin + day * DAY + YEAR

    return mint


def lots(suite, lockup, wallet):
    return [tuple(lot) for lot in lockup.lotsOf(suite.compliance, wallet)]


def locked(suite, lockup, wallet):
    return lockup.lockedUnits(suite.compliance, wallet)


def test_set_lock_period__by_owner__stored_and_announced(suite, lockup):
    event = suite.set(lockup.setLockPeriod, 5).events["LockPeriodSet"]
    assert (event["compliance"], event["lockSeconds"]) == (suite.compliance, 5)
    assert lockup.lockPeriod(suite.compliance) == 5


def test_set_lock_period__longer_than_ten_years__refused(suite, lockup):
    longest = lockup.MAX_LOCK_SECONDS()
    suite.set(lockup.setLockPeriod, longest)
    with reverts(error("LockPeriodTooLong", longest + 1, longest)):
        suite.set(lockup.setLockPeriod, longest + 1)


def test_mint__locked_until_the_second__then_free(suite, lockup, people, now, next_block_at):
    a, b = people
    event = suite.mint(a, 100).events["UnitsLocked"]
    release = now() + YEAR
    assert (event["compliance"], event["wallet"]) == (suite.compliance, a)
    assert (event["units"], event["releaseAt"]) == (100, release)
    assert lots(suite, lockup, a) == [(100, release)]
    refused = error("LockupUnitsLocked", suite.compliance, a, 100, 100, 1)
    assert suite.why(lockup, a, b, 1) == refused
    next_block_at(release - 1)
    with reverts("Transfer not possible"):
        suite.send(a, b, 1)
    next_block_at(release)
    suite.send(a, b, 100)
    assert locked(suite, lockup, a) == locked(suite, lockup, b) == 0, "free stays free"


def test_mint__no_period__free_at_once(suite, lockup, people):
    a, b = people
    suite.set(lockup.setLockPeriod, 0)
    suite.mint(a, 5)
    suite.send(a, b, 5)


def test_mint__twice__each_released_in_its_time(suite, lockup, people, mint_at, next_block_at):
    a, b = people
    first, second = mint_at(a, 60, 1), mint_at(a, 40, 30)
    assert lots(suite, lockup, a) == [(60, first), (40, second)]
    next_block_at(first)
    with reverts("Transfer not possible"):
        suite.send(a, b, 61)
    suite.send(a, b, 60)
    assert lots(suite, lockup, a) == [(40, second)]
    next_block_at(second)
    suite.send(a, b, 40)


def test_mint__shorter_period_later__stands_in_order_of_release(suite, lockup, people, mint_at):
    a, _ = people
    late = mint_at(a, 60, 1)
    suite.set(lockup.setLockPeriod, 10 * DAY)
    early = mint_at(a, 40, 5) - YEAR + 10 * DAY
    assert lots(suite, lockup, a) == [(40, early), (60, late)]


def test_mint__same_release__one_lot(suite, lockup, agent, people, owner, now):
    a, _ = people
    agent.batchMint(suite.token, [a, a, a], [1, 2, 3], {"from": owner})
    assert lots(suite, lockup, a) == [(6, now() + YEAR)]


def test_transfer__received_free_units__can_be_sent_beside_locked(suite, lockup, people, mint_at):
    a, b = people
    suite.set(lockup.setLockPeriod, 0)
    suite.mint(b, 10)
    suite.set(lockup.setLockPeriod, YEAR)
    mint_at(a, 100, 1)
    suite.send(b, a, 10)
    assert suite.why(lockup, a, b, 11) == error(
        "LockupUnitsLocked", suite.compliance, a, 110, 100, 11
    )
    suite.send(a, b, 10)
    assert locked(suite, lockup, a) == 100


def test_forced_transfer__free_units_first__then_locks_travel(suite, lockup, people, mint_at):
    a, b = people
    suite.set(lockup.setLockPeriod, 0)
    suite.mint(a, 10)
    suite.set(lockup.setLockPeriod, YEAR)
    first, second = mint_at(a, 60, 1), mint_at(a, 40, 2)
    suite.force(a, b, 10)
    assert lots(suite, lockup, b) == [], "ten were free"
    suite.force(a, b, 70)
    assert lots(suite, lockup, a) == [(30, second)]
    assert lots(suite, lockup, b) == [(60, first), (10, second)]
    with reverts("Transfer not possible"):
        suite.send(b, a, 11)
    suite.send(b, a, 10)


def test_forced_transfer__to_oneself__nothing_changes(suite, lockup, people, mint_at):
    a, _ = people
    first = mint_at(a, 60, 1)
    suite.force(a, a, 60)
    assert lots(suite, lockup, a) == [(60, first)]


def test_forced_transfer__lots_in_between__stand_in_order(suite, lockup, people, mint_at):
    a, b = people
    releases = [mint_at(wallet, 10, day) for day, wallet in enumerate((a, b, a, b, a), start=1)]
    suite.force(a, b, 30)
    assert lots(suite, lockup, b) == [(10, release) for release in releases]
    assert lots(suite, lockup, a) == []


def test_recovery__locks_are_not_shaken_off(suite, lockup, people, mint_at, owner):
    a, _ = people
    releases = [mint_at(a, 10, 1), mint_at(a, 20, 2)]
    new = new_wallet()
    suite.identity(a).addKey(key_of(new), 1, 1, {"from": owner})
    suite.recover(a, new)
    assert lots(suite, lockup, new) == list(zip((10, 20), releases, strict=True))
    assert lots(suite, lockup, a) == []


def test_burn__free_units_first__then_the_oldest_lot(suite, lockup, people, mint_at):
    a, b = people
    suite.set(lockup.setLockPeriod, 0)
    suite.mint(a, 10)
    suite.set(lockup.setLockPeriod, YEAR)
    first, second = mint_at(a, 60, 1), mint_at(a, 40, 2)
    suite.burn(a, 10)
    assert lots(suite, lockup, a) == [(60, first), (40, second)]
    suite.burn(a, 61)
    assert lots(suite, lockup, a) == [(39, second)]
    suite.burn(a, 39)
    assert lots(suite, lockup, a) == []
    suite.mint(a, 1)
    assert locked(suite, lockup, a) == 1


def test_lots__full__mint_refused_until_one_is_released(
    suite, lockup, people, mint_at, next_block_at, mine_at
):
    a, _ = people
    most = lockup.MAX_LOTS()
    releases = [mint_at(a, 1, day) for day in range(1, most + 1)]
    full = error("LockupTooManyLots", suite.compliance, a, most)
    assert suite.why(lockup, None, a, 1) == full
    with reverts("Compliance not followed"):
        suite.mint(a, 1)
    mine_at(releases[0])
    assert suite.why(lockup, None, a, 1) is None
    suite.mint(a, 1)
    assert len(lots(suite, lockup, a)) == most
    assert suite.why(lockup, None, a, 1) == full


def test_lots__full__forced_transfer_joins_a_later_one(suite, lockup, people, mint_at):
    """It must go through, and no unit may be released before its time."""
    a, b = people
    most = lockup.MAX_LOTS()
    before = mint_at(b, 5, 1)
    releases = [mint_at(a, 1, day) for day in range(2, most + 2)]
    after = mint_at(b, 7, most + 2)
    suite.force(b, a, 12)
    found = lots(suite, lockup, a)
    assert len(found) == most
    assert found[0] == (6, releases[0])
    assert found[-1] == (8, after)
    assert before < releases[0]
    assert releases[-1] < after
    assert sum(units for units, _ in found) == suite.token.balanceOf(a)


def test_remove_and_add_module__nothing_stale(suite, lockup, people, mint_at):
    a, b = people
    mint_at(a, 60, 1)
    suite.remove(lockup)
    suite.send(a, b, 10)
    suite.add(lockup)
    assert lockup.lockPeriod(suite.compliance) == 0
    assert locked(suite, lockup, a) == 0
    suite.send(a, b, 10)
    suite.set(lockup.setLockPeriod, YEAR)
    release = mint_at(a, 5, 3)
    assert lots(suite, lockup, a) == [(5, release)]
    suite.send(a, b, 40)


@settings(max_examples=60)
@given(value=strategy("uint256"))
def test_check__any_value__never_reverts(suite, lockup, people, value):
    a, b = people
    suite.mint(a, 60)
    refused = suite.why(lockup, a, b, value)
    assert refused == error("LockupUnitsLocked", suite.compliance, a, 60, 60, value) or value == 0


@settings(max_examples=25)
@given(
    amounts=strategy("uint8[]", min_length=3, max_length=6, min_value=1),
    taken=strategy("uint16", min_value=1),
    days=strategy("uint16", max_value=400),
)
def test_forced_transfer__any_lots__none_lost_or_released_early(
    suite, lockup, agent, people, owner, next_block_at, mine_at, now, amounts, taken, days
):
    """Both wallets together have the lots that a queue in Python would have."""
    a, b = people
    begin, model = now(), []
    for day, units in enumerate(amounts, start=1):
        next_block_at(begin + day * DAY)
        suite.mint(a, units)
        model.append([units, begin + day * DAY + YEAR])
    mine_at(begin + (7 + days) * DAY)
    taken = min(taken, sum(amounts))
    agent.forcedTransfer(CASE, 10**6, suite.token, a, b, taken, {"from": owner})
    at = now()
    model = [lot for lot in model if lot[1] > at]
    over = max(0, sum(units for units, _ in model) - (sum(amounts) - taken))
    moved = []
    while over:
        units, release = model[0]
        part = min(units, over)
        moved.append((part, release))
        over -= part
        model[0][0] -= part
        if model[0][0] == 0:
            model.pop(0)
    assert lots(suite, lockup, a) == [tuple(lot) for lot in model]
    assert lots(suite, lockup, b) == moved

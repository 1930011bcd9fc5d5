"""The limit on what one person holds in all wallets together."""

import pytest
from brownie import ZERO_ADDRESS, reverts
from brownie.test import given, strategy
from hypothesis import settings
from suite import error, key_of, new_wallet

LIMIT = 100


@pytest.fixture(scope="module")
def suite(platform, agent, max_balance):
    suite = platform.suite(agent, [max_balance])
    suite.set(max_balance.setMaxBalance, LIMIT)
    suite.open()
    return suite


@pytest.fixture(scope="module")
def people(suite):
    """Two persons with 60 units each."""
    wallets = [suite.person(), suite.person()]
    for wallet in wallets:
        suite.mint(wallet, 60)
    return wallets


def exceeded(suite, wallet, held, value, limit=LIMIT):
    identity = suite.registry.identity(wallet)
    return error("MaxBalanceExceeded", suite.compliance, identity, held, value, limit)


def held(suite, max_balance, wallet):
    return max_balance.heldBy(suite.compliance, suite.registry.identity(wallet))


def test_set_max_balance__by_owner__stored_and_announced(suite, max_balance):
    event = suite.set(max_balance.setMaxBalance, 7).events["MaxBalanceSet"]
    assert (event["compliance"], event["units"]) == (suite.compliance, 7)
    assert max_balance.maxBalance(suite.compliance) == 7


def test_receive__no_limit_set__refused(platform, agent, max_balance):
    suite = platform.suite(agent, [max_balance])
    wallet = suite.person()
    assert suite.why(max_balance, None, wallet, 1) == exceeded(suite, wallet, 0, 1, 0)
    with reverts("Compliance not followed"):
        suite.mint(wallet, 1)


def test_receive__to_the_limit_and_one_more__the_last_refused(suite, max_balance, people):
    a, b = people
    suite.send(a, b, 40)
    assert held(suite, max_balance, b) == LIMIT
    assert suite.why(max_balance, a, b, 1) == exceeded(suite, b, LIMIT, 1)
    with reverts("Transfer not possible"):
        suite.send(a, b, 1)
    with reverts("Compliance not followed"):
        suite.mint(b, 1)
    suite.mint(a, 80)


def test_receive__second_wallet__counts_together(suite, max_balance, people):
    a, b = people
    second = suite.second_wallet(b)
    assert suite.why(max_balance, a, second, 41) == exceeded(suite, b, 60, 41)
    suite.send(a, second, 40)
    assert held(suite, max_balance, b) == LIMIT
    with reverts("Transfer not possible"):
        suite.send(a, b, 1)
    with reverts("Transfer not possible"):
        suite.send(a, second, 1)
    suite.burn(second, 10)
    suite.send(a, b, 10)


def test_transfer__between_own_wallets__always_possible(suite, max_balance, people):
    _, b = people
    suite.mint(b, 40)
    second = suite.second_wallet(b)
    assert suite.why(max_balance, b, second, LIMIT) is None
    suite.send(b, second, 70)
    suite.send(second, b, 20)
    assert held(suite, max_balance, b) == LIMIT
    suite.send(b, b, 5)


def test_transfer__between_own_wallets_above_the_limit__possible(suite, max_balance, people):
    _, b = people
    second = suite.second_wallet(b)
    suite.set(max_balance.setMaxBalance, 10)
    suite.send(b, second, 60)
    suite.send(second, b, 1)


def test_forced_transfer__past_the_limit__counted_and_not_refused(suite, max_balance, people):
    a, b = people
    suite.force(a, b, 60)
    assert held(suite, max_balance, b) == 120
    assert suite.why(max_balance, a, b, 1) == exceeded(suite, b, 120, 1)
    suite.send(b, a, 30)
    assert held(suite, max_balance, b) == 90


def test_delete_identity__of_a_holder__nothing_is_bricked(suite, max_balance, people, owner):
    a, b = people
    identity = suite.registry.identity(a)
    suite.registry.deleteIdentity(a, {"from": owner})
    assert max_balance.heldBy(suite.compliance, identity) == 60, "the person still owns them"
    suite.send(a, b, 1)
    suite.force(a, b, 1)
    suite.burn(a, 1)
    assert max_balance.heldBy(suite.compliance, identity) == 57


def test_delete_identity__wallet_without_identity__still_counts_for_its_person(
    suite, max_balance, people, owner
):
    """Its units are own units: sending them to the other wallet of the person is possible."""
    a, b = people
    second = suite.second_wallet(a)
    suite.mint(second, 40)
    suite.registry.deleteIdentity(a, {"from": owner})
    assert held(suite, max_balance, second) == LIMIT
    assert suite.why(max_balance, b, second, 1) == exceeded(suite, second, LIMIT, 1)
    suite.send(a, second, 60)
    assert held(suite, max_balance, second) == LIMIT


def test_update_identity__of_a_holder__counts_for_the_new_person(
    suite, max_balance, people, owner, stranger
):
    a, b = people
    before, after = suite.registry.identity(a), suite.registry.identity(b)
    suite.registry.updateIdentity(a, after, {"from": owner})
    assert max_balance.heldBy(suite.compliance, before) == 0
    max_balance.adopt(suite.compliance, [a], {"from": stranger})
    assert max_balance.heldBy(suite.compliance, after) == 120
    suite.send(a, b, 60)


def test_update_identity__wallet_that_receives__known_without_adoption(
    suite, max_balance, people, owner
):
    a, _ = people
    other = suite.person()
    suite.registry.updateIdentity(a, suite.registry.identity(other), {"from": owner})
    assert suite.why(max_balance, None, a, 41) == exceeded(suite, a, 60, 41)
    suite.mint(a, 40)
    assert held(suite, max_balance, other) == LIMIT


def test_update_identity__stale_wallet__is_not_an_own_wallet(suite, max_balance, people, owner):
    """The place of a wallet that was given to another person is no way around the limit."""
    a, b = people
    second = suite.second_wallet(b)
    suite.send(a, second, 20)
    suite.registry.updateIdentity(second, suite.registry.identity(a), {"from": owner})
    suite.mint(b, 40)
    assert suite.why(max_balance, second, b, 1) == exceeded(suite, b, LIMIT, 1)


def test_recovery__at_the_limit__moves_everything(suite, max_balance, people, owner):
    a, _ = people
    suite.mint(a, 40)
    new = new_wallet()
    suite.identity(a).addKey(key_of(new), 1, 1, {"from": owner})
    suite.recover(a, new)
    assert suite.token.balanceOf(new) == held(suite, max_balance, new) == LIMIT


def test_wallets__as_many_as_fit__one_more_refused_and_places_freed(suite, max_balance):
    """Places of wallets that were emptied are used again, in whatever order."""
    first = suite.person()
    identity = suite.registry.identity(first)
    others = [suite.second_wallet(first) for _ in range(max_balance.MAX_WALLETS())]
    suite.mint(first, 2)
    for wallet in others[:-1]:
        suite.mint(wallet, 1)
    full = error("MaxBalanceTooManyWallets", suite.compliance, identity, others[-1])
    assert suite.why(max_balance, None, others[-1], 1) == full
    with reverts("Compliance not followed"):
        suite.mint(others[-1], 1)
    with reverts(full):
        suite.force(first, others[-1], 1)
    suite.force(first, others[0], 1)
    assert suite.why(max_balance, None, others[3], 1) is None, "a known one may receive"
    suite.burn(others[3], 1)
    suite.mint(others[-1], 1)
    assert max_balance.heldBy(suite.compliance, identity) == len(others) + 1
    full_again = error("MaxBalanceTooManyWallets", suite.compliance, identity, others[3])
    assert suite.why(max_balance, None, others[3], 1) == full_again
    suite.burn(first, 1)
    suite.mint(others[3], 1)
    assert max_balance.heldBy(suite.compliance, identity) == len(others) + 1


# Bound to a token with holders


@pytest.fixture
def late(platform, agent, max_balance):
    """A token whose holders came before the module; the first has two wallets."""
    suite = platform.suite(agent)
    first, second = suite.person(), suite.person()
    wallets = [first, suite.second_wallet(first), second]
    for wallet in wallets:
        suite.mint(wallet, 50)
    suite.open()
    suite.add(max_balance)
    suite.set(max_balance.setMaxBalance, LIMIT)
    return suite, wallets


def test_adopt__holders_missing__nothing_moves(late, max_balance):
    suite, (a, _, b) = late
    assert max_balance.missingUnits(suite.compliance) == 150
    missing = error("HoldersNotAdopted", suite.compliance, 150)
    assert suite.why(max_balance, a, b, 1) == missing
    with reverts("Transfer not possible"):
        suite.send(a, b, 1)
    with reverts(missing):
        suite.force(a, b, 1)
    with reverts(missing):
        suite.burn(a, 1)
    with reverts("Compliance not followed"):
        suite.mint(a, 1)


def test_adopt__all_holders__complete_and_exact(late, max_balance, stranger):
    suite, (a, second, b) = late
    sent = max_balance.adopt(suite.compliance, [a, b, stranger], {"from": stranger})
    said = [(event["wallet"], event["units"]) for event in sent.events["WalletAdopted"]]
    assert said == [(a, 50), (b, 50)], "the stranger holds nothing"
    assert max_balance.missingUnits(suite.compliance) == 50
    assert suite.why(max_balance, a, b, 1) == error("HoldersNotAdopted", suite.compliance, 50)
    max_balance.adopt(suite.compliance, [second], {"from": stranger})
    assert max_balance.missingUnits(suite.compliance) == 0
    assert suite.why(max_balance, b, second, 1) == exceeded(suite, a, 100, 1)
    suite.send(a, b, 50)


@pytest.mark.parametrize("twice_in_one_call", [True, False])
def test_adopt__same_wallet_twice__counted_once(late, max_balance, owner, twice_in_one_call):
    suite, (a, _, _) = late
    for wallets in [[a, a]] if twice_in_one_call else [[a], [a]]:
        max_balance.adopt(suite.compliance, wallets, {"from": owner})
    assert max_balance.missingUnits(suite.compliance) == 100


def test_adopt__identity_changed_in_between__counted_once(late, max_balance, owner):
    suite, (a, _, b) = late
    max_balance.adopt(suite.compliance, [a], {"from": owner})
    suite.registry.updateIdentity(a, suite.registry.identity(b), {"from": owner})
    max_balance.adopt(suite.compliance, [a], {"from": owner})
    assert max_balance.missingUnits(suite.compliance) == 100


def test_adopt__deleted_identity__counts_as_a_holder_of_its_own(late, max_balance, owner):
    suite, (a, second, b) = late
    suite.registry.deleteIdentity(a, {"from": owner})
    max_balance.adopt(suite.compliance, [a, second, b], {"from": owner})
    assert max_balance.missingUnits(suite.compliance) == 0
    assert max_balance.heldBy(suite.compliance, a) == 50
    suite.send(a, b, 50)


def test_adopt__not_bound__refused(suite, max_balance, stranger):
    with reverts(error("ModuleComplianceNotBound", stranger)):
        max_balance.adopt(stranger, [], {"from": stranger})


def test_remove_and_add_module__moved_in_between__nothing_stale(suite, max_balance, people, owner):
    a, b = people
    suite.remove(max_balance)
    suite.send(a, b, 60)
    suite.add(max_balance)
    assert max_balance.maxBalance(suite.compliance) == 0
    assert max_balance.missingUnits(suite.compliance) == 120
    suite.set(max_balance.setMaxBalance, LIMIT)
    max_balance.adopt(suite.compliance, [a, b], {"from": owner})
    assert held(suite, max_balance, b) == 120
    assert held(suite, max_balance, a) == 0


@settings(max_examples=60)
@given(units=strategy("uint256"))
def test_check__any_value__never_reverts(suite, max_balance, people, units):
    a, b = people
    assert (suite.why(max_balance, a, b, units) is None) == (units <= LIMIT - 60)


def test_check__burn_address__has_no_holder(suite, max_balance, people):
    """Nothing asks so; it must not revert either."""
    assert suite.why(max_balance, people[0], ZERO_ADDRESS, 1) is None

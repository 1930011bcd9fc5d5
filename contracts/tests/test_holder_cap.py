"""The limit on the number of persons who hold."""

import pytest
from brownie import ZERO_ADDRESS, reverts
from suite import error, key_of, new_wallet

CAP = 3


@pytest.fixture(scope="module")
def suite(platform, agent, holder_cap):
    suite = platform.suite(agent, [holder_cap])
    suite.set(holder_cap.setHolderCap, CAP)
    suite.open()
    return suite


@pytest.fixture(scope="module")
def people(suite):
    """As many holders as may be, with ten units each."""
    wallets = [suite.person() for _ in range(CAP)]
    for wallet in wallets:
        suite.mint(wallet, 10)
    return wallets


@pytest.fixture(scope="module")
def newcomer(suite):
    return suite.person()


def reached(suite, wallet, holders=CAP, cap=CAP):
    return error(
        "HolderCapReached", suite.compliance, suite.registry.identity(wallet), holders, cap
    )


def count(suite, holder_cap):
    return holder_cap.holderCount(suite.compliance)


def test_set_holder_cap__by_owner__stored_and_announced(suite, holder_cap):
    event = suite.set(holder_cap.setHolderCap, 50).events["HolderCapSet"]
    assert (event["compliance"], event["cap"]) == (suite.compliance, 50)
    assert holder_cap.holderCap(suite.compliance) == 50


def test_mint__no_cap_set__refused(platform, agent, holder_cap):
    suite = platform.suite(agent, [holder_cap])
    wallet = suite.person()
    assert suite.why(holder_cap, None, wallet, 1) == reached(suite, wallet, 0, 0)
    with reverts("Compliance not followed"):
        suite.mint(wallet, 1)


def test_receive__newcomer_at_the_cap__refused(suite, holder_cap, people, newcomer):
    assert count(suite, holder_cap) == CAP
    assert suite.why(holder_cap, people[0], newcomer, 1) == reached(suite, newcomer)
    with reverts("Transfer not possible"):
        suite.send(people[0], newcomer, 1)
    with reverts("Compliance not followed"):
        suite.mint(newcomer, 1)


def test_receive__holder_at_the_cap__possible(suite, holder_cap, people):
    suite.mint(people[0], 5)
    suite.send(people[0], people[1], 5)
    assert count(suite, holder_cap) == CAP


def test_transfer__everything_to_a_newcomer__takes_the_place(suite, holder_cap, people, newcomer):
    assert suite.why(holder_cap, people[0], newcomer, 9) == reached(suite, newcomer)
    suite.send(people[0], newcomer, 10)
    assert count(suite, holder_cap) == CAP
    assert holder_cap.countedAs(suite.compliance, people[0]) == ZERO_ADDRESS
    assert holder_cap.countedAs(suite.compliance, newcomer) == suite.registry.identity(newcomer)


def test_transfer__everything_of_one_of_two_wallets__no_place_free(
    suite, holder_cap, people, newcomer
):
    second = suite.second_wallet(people[0])
    suite.send(people[0], second, 4)
    assert count(suite, holder_cap) == CAP
    assert suite.why(holder_cap, second, newcomer, 4) == reached(suite, newcomer)
    suite.send(second, people[0], 4)
    suite.send(people[0], newcomer, 10)
    assert count(suite, holder_cap) == CAP


def test_transfer__everything_to_a_holder__one_less(suite, holder_cap, people, newcomer):
    suite.send(people[0], people[1], 10)
    assert count(suite, holder_cap) == CAP - 1
    suite.send(people[1], newcomer, 1)
    assert count(suite, holder_cap) == CAP


def test_transfer__everything_to_oneself__nothing_changes(suite, holder_cap, people):
    suite.send(people[0], people[0], 10)
    assert count(suite, holder_cap) == CAP
    second = suite.second_wallet(people[0])
    suite.send(people[0], second, 10)
    assert count(suite, holder_cap) == CAP


def test_burn__everything__one_less(suite, holder_cap, people):
    suite.burn(people[0], 9)
    assert count(suite, holder_cap) == CAP
    suite.burn(people[0], 1)
    assert count(suite, holder_cap) == CAP - 1


def test_forced_transfer__past_the_cap__counted_and_not_refused(
    suite, holder_cap, people, newcomer
):
    """A succession: nobody may come in, by gift or otherwise, until places are free again."""
    suite.force(people[0], newcomer, 1)
    assert count(suite, holder_cap) == CAP + 1
    another = suite.person()
    assert suite.why(holder_cap, people[0], another, 9) == reached(suite, another, CAP + 1)
    suite.send(people[1], people[0], 10)
    suite.send(people[2], people[0], 10)
    suite.send(people[0], another, 1)
    assert count(suite, holder_cap) == CAP


def test_set_holder_cap__below_the_number__only_others_leave(suite, holder_cap, people, newcomer):
    suite.set(holder_cap.setHolderCap, 1)
    assert suite.why(holder_cap, people[0], newcomer, 10) == reached(suite, newcomer, CAP, 1)
    suite.send(people[0], people[1], 10)
    assert count(suite, holder_cap) == CAP - 1


def test_delete_identity__of_a_holder__counted_out_as_who_came_in(suite, holder_cap, people, owner):
    suite.registry.deleteIdentity(people[0], {"from": owner})
    suite.force(people[0], people[1], 5)
    suite.send(people[0], people[1], 4)
    assert count(suite, holder_cap) == CAP
    suite.burn(people[0], 1)
    assert count(suite, holder_cap) == CAP - 1


def test_update_identity__then_adopt__counted_for_the_new_person(
    suite, holder_cap, people, owner, stranger
):
    other = suite.registry.identity(people[1])
    suite.registry.updateIdentity(people[0], other, {"from": owner})
    assert count(suite, holder_cap) == CAP
    holder_cap.adopt(suite.compliance, [people[0]], {"from": stranger})
    assert count(suite, holder_cap) == CAP - 1
    assert holder_cap.countedAs(suite.compliance, people[0]) == other
    suite.burn(people[0], 10)
    suite.burn(people[1], 10)
    assert count(suite, holder_cap) == CAP - 2


def test_adopt__of_a_known_or_deleted_wallet__changes_nothing(
    suite, holder_cap, people, owner, stranger
):
    identity = suite.registry.identity(people[0])
    suite.registry.deleteIdentity(people[0], {"from": owner})
    holder_cap.adopt(suite.compliance, [*people, stranger], {"from": stranger})
    assert count(suite, holder_cap) == CAP
    assert holder_cap.countedAs(suite.compliance, people[0]) == identity


def test_recovery__of_a_holder__number_stays(suite, holder_cap, people, owner):
    new = new_wallet()
    suite.identity(people[0]).addKey(key_of(new), 1, 1, {"from": owner})
    suite.recover(people[0], new)
    assert count(suite, holder_cap) == CAP
    assert holder_cap.countedAs(suite.compliance, new) == suite.registry.identity(new)


def test_adopt__bound_to_a_token_with_holders__complete_and_exact(
    platform, agent, holder_cap, stranger, owner
):
    suite = platform.suite(agent)
    first, other = suite.person(), suite.person()
    wallets = [first, suite.second_wallet(first), other]
    for wallet in wallets:
        suite.mint(wallet, 10)
    suite.open()
    suite.add(holder_cap)
    suite.set(holder_cap.setHolderCap, 2)
    suite.registry.deleteIdentity(other, {"from": owner})
    missing = error("HoldersNotAdopted", suite.compliance, 30)
    assert suite.why(holder_cap, first, other, 1) == missing
    with reverts(missing):
        suite.burn(first, 1)
    holder_cap.adopt(suite.compliance, [wallets[0], *wallets], {"from": stranger})
    assert holder_cap.missingUnits(suite.compliance) == 0
    assert count(suite, holder_cap) == 2
    assert holder_cap.countedAs(suite.compliance, other) == other
    suite.send(other, first, 10)
    assert count(suite, holder_cap) == 1


def test_remove_and_add_module__nothing_stale(suite, holder_cap, people, newcomer, owner):
    suite.remove(holder_cap)
    suite.send(people[0], newcomer, 1)
    suite.send(people[1], newcomer, 10)
    suite.add(holder_cap)
    suite.set(holder_cap.setHolderCap, CAP)
    holder_cap.adopt(suite.compliance, [*people, newcomer], {"from": owner})
    assert count(suite, holder_cap) == CAP

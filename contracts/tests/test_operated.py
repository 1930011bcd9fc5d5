"""Owner and operators, the same in every contract that has them."""

import pytest
from brownie import ZERO_ADDRESS, reverts
from brownie import IdentityFactory, RegistrationDesk, RupeeToken


@pytest.fixture(scope="module")
def deploy(store, factory, issuer, owner):
    """Return functions that deploy each contract with an owner and operators."""
    last = {"from": owner}
    return {
        "IdentityFactory": lambda *who: IdentityFactory.deploy(*who, store, last),
        "RegistrationDesk": lambda *who: RegistrationDesk.deploy(*who, factory, issuer, last),
        "RupeeToken": lambda *who: RupeeToken.deploy(*who, last),
    }


@pytest.fixture(scope="module", params=["IdentityFactory", "RegistrationDesk", "RupeeToken"])
def make(request, deploy):
    return deploy[request.param]


@pytest.fixture(scope="module")
def operated(make, owner, operator):
    return make(owner, [operator])


def test_constructor__owner_and_operators__set_and_announced(make, owner, operator, stranger):
    operated = make(owner, [operator, stranger])
    assert operated.owner() == owner
    assert operated.isOperator(operator)
    assert operated.isOperator(stranger)
    assert not operated.isOperator(owner), "the cold key does no daily work"
    added = [event["operator"] for event in operated.tx.events["OperatorAdded"]]
    assert added == [operator, stranger]


def test_constructor__no_owner__refused(make, operator):
    with reverts(f"OwnableInvalidOwner: {ZERO_ADDRESS}"):
        make(ZERO_ADDRESS, [operator])


def test_constructor__zero_operator__refused(make, owner):
    with reverts(f"OperatedInvalidOperator: {ZERO_ADDRESS}"):
        make(owner, [ZERO_ADDRESS])


def test_constructor__operator_twice__refused(make, owner, operator):
    with reverts(f"OperatedOperatorAlreadyActive: {operator.address.lower()}"):
        make(owner, [operator, operator])


def test_add_operator__by_owner__active_and_announced(operated, owner, stranger):
    transaction = operated.addOperator(stranger, {"from": owner})
    assert operated.isOperator(stranger)
    assert dict(transaction.events["OperatorAdded"][0]) == {"operator": stranger}


def test_add_operator__by_operator__refused(operated, operator, stranger):
    with reverts(f"OwnableUnauthorizedAccount: {operator.address.lower()}"):
        operated.addOperator(stranger, {"from": operator})
    assert not operated.isOperator(stranger)


def test_add_operator__zero__refused(operated, owner):
    with reverts(f"OperatedInvalidOperator: {ZERO_ADDRESS}"):
        operated.addOperator(ZERO_ADDRESS, {"from": owner})


def test_add_operator__active__refused(operated, owner, operator):
    with reverts(f"OperatedOperatorAlreadyActive: {operator.address.lower()}"):
        operated.addOperator(operator, {"from": owner})


def test_remove_operator__by_owner__inactive_and_announced(operated, owner, operator):
    transaction = operated.removeOperator(operator, {"from": owner})
    assert not operated.isOperator(operator)
    assert dict(transaction.events["OperatorRemoved"][0]) == {"operator": operator}
    operated.addOperator(operator, {"from": owner})
    assert operated.isOperator(operator)


def test_remove_operator__by_operator__refused(operated, operator):
    with reverts(f"OwnableUnauthorizedAccount: {operator.address.lower()}"):
        operated.removeOperator(operator, {"from": operator})
    assert operated.isOperator(operator)


def test_remove_operator__not_active__refused(operated, owner, stranger):
    with reverts(f"OperatedOperatorNotActive: {stranger.address.lower()}"):
        operated.removeOperator(stranger, {"from": owner})


def test_ownership__handed_over__only_new_owner_names_operators(operated, owner, stranger, key):
    operated.transferOwnership(stranger, {"from": owner})
    operated.addOperator(key, {"from": owner})
    operated.acceptOwnership({"from": stranger})
    with reverts(f"OwnableUnauthorizedAccount: {owner.address.lower()}"):
        operated.removeOperator(key, {"from": owner})
    operated.removeOperator(key, {"from": stranger})


def test_renounce_ownership__by_owner__refused(operated, owner):
    with reverts(f"OperatedOwnershipNotRenounceable: {owner.address.lower()}"):
        operated.renounceOwnership.transact({"from": owner})
    assert operated.owner() == owner


def test_renounce_ownership__by_other__refused(operated, stranger):
    with reverts(f"OwnableUnauthorizedAccount: {stranger.address.lower()}"):
        operated.renounceOwnership.transact({"from": stranger})

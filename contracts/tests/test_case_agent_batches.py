"""Freezes that share a transaction: each under its own case, all or none."""

import pytest
from brownie import ZERO_ADDRESS, reverts
from eth_utils import keccak
from suite import CASE, error

OTHER_CASE = keccak(text="case 2")
FREEZE_WALLET, UNFREEZE_WALLET, FREEZE_UNITS, UNFREEZE_UNITS = range(2, 6)
NAMES = ("batchSetWalletFrozen", "batchFreezeUnits", "batchUnfreezeUnits")
CASE_ROLE = keccak(text="CASE_ROLE")


@pytest.fixture(scope="module")
def operator(accounts):
    return accounts[6]


@pytest.fixture(scope="module")
def agent(CaseAgent, owner, operator):
    return CaseAgent.deploy(owner, 0, [owner], [owner], [operator], {"from": owner})


@pytest.fixture(scope="module")
def token(platform, agent, owner):
    return platform.suite(agent)


@pytest.fixture(scope="module")
def people(token, agent, owner):
    wallets = [token.person() for _ in range(3)]
    agent.batchMint(token.token, wallets, [100, 100, 100], {"from": owner})
    agent.unpause(token.token, {"from": owner})
    return wallets


def logged(sent):
    return [
        (bytes(e["caseId"]), e["number"], e["act"], e["wallet"], e["counterparty"], e["units"])
        for e in sent.events["CaseActExecuted"]
    ]


def test_batch_set_wallet_frozen__both_ways__each_under_its_case(agent, token, people, operator):
    a, b, _ = people
    agent.setWalletFrozen(CASE, 1, token.token, b, True, {"from": operator})
    sent = agent.batchSetWalletFrozen(
        token.token, [(CASE, 2, a, True), (OTHER_CASE, 1, b, False)], {"from": operator}
    )
    assert logged(sent) == [
        (CASE, 2, FREEZE_WALLET, a, ZERO_ADDRESS, 0),
        (OTHER_CASE, 1, UNFREEZE_WALLET, b, ZERO_ADDRESS, 0),
    ]
    assert [token.token.isFrozen(wallet) for wallet in people] == [True, False, False]
    names = [event.name for event in sent.events]
    assert names.index("AddressFrozen") > names.index("CaseActExecuted")
    assert agent.isExecuted(OTHER_CASE, 1)
    assert {event["operator"] for event in sent.events["CaseActExecuted"]} == {operator}


def test_batch_units__frozen_and_freed__each_under_its_case(agent, token, people, operator):
    a, b, c = people
    sent = agent.batchFreezeUnits(
        token.token, [(CASE, 1, a, 30), (OTHER_CASE, 1, b, 40), (CASE, 2, a, 5)], {"from": operator}
    )
    assert logged(sent) == [
        (CASE, 1, FREEZE_UNITS, a, ZERO_ADDRESS, 30),
        (OTHER_CASE, 1, FREEZE_UNITS, b, ZERO_ADDRESS, 40),
        (CASE, 2, FREEZE_UNITS, a, ZERO_ADDRESS, 5),
    ]
    assert [token.token.getFrozenTokens(wallet) for wallet in people] == [35, 40, 0]
    sent = agent.batchUnfreezeUnits(
        token.token, [(CASE, 3, a, 30), (OTHER_CASE, 2, b, 40)], {"from": operator}
    )
    assert logged(sent) == [
        (CASE, 3, UNFREEZE_UNITS, a, ZERO_ADDRESS, 30),
        (OTHER_CASE, 2, UNFREEZE_UNITS, b, ZERO_ADDRESS, 40),
    ]
    assert [token.token.getFrozenTokens(wallet) for wallet in people] == [5, 0, 0]


def test_batch_units__one_has_too_few__none_frozen_and_no_number_used(
    agent, token, people, operator
):
    a, b, _ = people
    with reverts("Amount exceeds available balance"):
        agent.batchFreezeUnits(
            token.token, [(CASE, 1, a, 30), (CASE, 2, b, 101)], {"from": operator}
        )
    assert token.token.getFrozenTokens(a) == 0
    assert not agent.isExecuted(CASE, 1)


@pytest.mark.parametrize("name", NAMES)
def test_batch__number_used_before_or_twice__refused(agent, token, people, operator, name):
    call, value = getattr(agent, name), 1
    agent.burn(CASE, 7, token.token, people[2], 1, {"from": operator})
    agent.freezeUnits(CASE, 8, token.token, people[0], 10, {"from": operator})
    with reverts(error("CaseActAlreadyExecuted", CASE, 7)):
        call(token.token, [(CASE, 7, people[0], value)], {"from": operator})
    with reverts(error("CaseActAlreadyExecuted", CASE, 9)):
        rows = [(CASE, 9, people[0], value), (CASE, 9, people[0], value)]
        call(token.token, rows, {"from": operator})
    assert not agent.isExecuted(CASE, 9)


@pytest.mark.parametrize("name", NAMES)
def test_batch__without_a_case__refused(agent, token, people, operator, name):
    with reverts(error("CaseIdMissing", operator)):
        getattr(agent, name)(token.token, [(bytes(32), 1, people[0], 1)], {"from": operator})


@pytest.mark.parametrize("name", NAMES)
def test_batch__by_another_key__refused(agent, token, people, owner, name):
    with reverts(error("AccessControlUnauthorizedAccount", owner, CASE_ROLE)):
        getattr(agent, name)(token.token, [(CASE, 1, people[0], 1)], {"from": owner})


def test_batch__ten_freezes__cost_less_than_two_thirds_of_ten_alone(agent, token, people, operator):
    alone = agent.freezeUnits(CASE, 100, token.token, people[1], 1, {"from": operator})
    rows = [(OTHER_CASE, number, people[1], 1) for number in range(100, 110)]
    together = agent.batchFreezeUnits(token.token, rows, {"from": operator})
    assert together.gas_used * 3 < alone.gas_used * 10 * 2

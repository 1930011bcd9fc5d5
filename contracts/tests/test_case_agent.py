"""The agent for whom a forced act needs a case."""

import pytest
from brownie import ZERO_ADDRESS, reverts
from eth_utils import keccak
from suite import CASE, error, key_of, new_wallet

ISSUER, PAUSER, OPERATOR = (keccak(text=f"{name}_ROLE") for name in ("ISSUER", "PAUSER", "CASE"))
OTHER_CASE = keccak(text="case 2")
NO_CASE = bytes(32)
(
    FORCED_TRANSFER,
    BURN,
    FREEZE_WALLET,
    UNFREEZE_WALLET,
    FREEZE_UNITS,
    UNFREEZE_UNITS,
    RECOVERY,
) = range(7)


@pytest.fixture(scope="module")
def issuer_key(accounts):
    return accounts[4]


@pytest.fixture(scope="module")
def pauser(accounts):
    return accounts[5]


@pytest.fixture(scope="module")
def operator(accounts):
    return accounts[6]


@pytest.fixture(scope="module")
def agent(CaseAgent, owner, issuer_key, pauser, operator):
    """An agent whose roles are with three keys."""
    return CaseAgent.deploy(owner, 0, [issuer_key], [pauser], [operator], {"from": owner})


@pytest.fixture(scope="module")
def suite(platform, agent, issuer_key):
    suite = platform.suite(agent)
    agent.unpause(suite.token, {"from": issuer_key})
    return suite


@pytest.fixture(scope="module")
def token(suite):
    return suite.token


@pytest.fixture(scope="module")
def people(suite, agent, token, issuer_key):
    wallets = [suite.person() for _ in range(3)]
    agent.batchMint(token, wallets, [100, 100, 100], {"from": issuer_key})
    return wallets


@pytest.fixture
def new_key(suite, people, owner):
    """A new wallet of the first person."""
    wallet = new_wallet()
    suite.identity(people[0]).addKey(key_of(wallet), 1, 1, {"from": owner})
    return wallet


def balances(token, wallets):
    return [token.balanceOf(wallet) for wallet in wallets]


def assert_logged(sent, operator, token, act, number, wallet, other, units, position=0):
    event = sent.events["CaseActExecuted"][position]
    assert bytes(event["caseId"]) == CASE
    assert (event["token"], event["act"], event["number"]) == (token, act, number)
    assert (event["wallet"], event["counterparty"]) == (wallet, other)
    assert (event["units"], event["operator"]) == (units, operator)


# Roles


def test_constructor__roles_given(agent, owner, issuer_key, pauser, operator):
    assert agent.defaultAdmin() == owner
    for role, key in ((ISSUER, issuer_key), (PAUSER, pauser), (OPERATOR, operator)):
        holders = [key for key in (owner, issuer_key, pauser, operator) if agent.hasRole(role, key)]
        assert holders == [key]


def test_constructor__no_admin__refused(CaseAgent, owner):
    with reverts(error("AccessControlInvalidDefaultAdmin", ZERO_ADDRESS)):
        CaseAgent.deploy(ZERO_ADDRESS, 0, [], [], [], {"from": owner})


def forced_acts(agent, token, wallet, other, case=CASE, number=0):
    head = (case, number, token)
    return {
        "forcedTransfer": (agent.forcedTransfer, (*head, wallet, other, 1)),
        "batchForcedTransfer": (agent.batchForcedTransfer, (*head, wallet, [other], [1])),
        "burn": (agent.burn, (*head, wallet, 1)),
        "setWalletFrozen": (agent.setWalletFrozen, (*head, wallet, True)),
        "freezeUnits": (agent.freezeUnits, (*head, wallet, 1)),
        "unfreezeUnits": (agent.unfreezeUnits, (*head, wallet, 1)),
        "recover": (agent.recover, (*head, wallet, other, other)),
    }


def test_acts__by_keys_of_other_roles__refused(
    agent, token, people, owner, issuer_key, pauser, operator
):
    mints = [
        (agent.mint, (token, people[0], 1)),
        (agent.batchMint, (token, [people[0]], [1])),
        (agent.unpause, (token,)),
    ]
    forced = forced_acts(agent, token, *people[:2]).values()
    for role, key, acts in (
        (OPERATOR, issuer_key, forced),
        (OPERATOR, owner, forced),
        (ISSUER, operator, mints),
        (ISSUER, pauser, mints),
        (PAUSER, issuer_key, [(agent.pause, (token,))]),
        (PAUSER, operator, [(agent.pause, (token,))]),
    ):
        for act, arguments in acts:
            with reverts(error("AccessControlUnauthorizedAccount", key, role)):
                act(*arguments, {"from": key})
    assert balances(token, people) == [100, 100, 100]


# Cases


@pytest.mark.parametrize(
    "name",
    ["forcedTransfer", "batchForcedTransfer", "burn", "setWalletFrozen", "freezeUnits"],
)
def test_forced_act__without_a_case__refused(agent, token, people, operator, name):
    act, arguments = forced_acts(agent, token, *people[:2], case=NO_CASE)[name]
    with reverts(error("CaseIdMissing", operator)):
        act(*arguments, {"from": operator})


@pytest.mark.parametrize(
    "name",
    ["forcedTransfer", "batchForcedTransfer", "burn", "setWalletFrozen", "freezeUnits"],
)
def test_forced_act__number_of_the_case_used__refused(agent, token, people, operator, name):
    acts = forced_acts(agent, token, *people[:2])
    agent.burn(CASE, 0, token, people[2], 1, {"from": operator})
    assert agent.isExecuted(CASE, 0)
    before = balances(token, people)
    act, arguments = acts[name]
    with reverts(error("CaseActAlreadyExecuted", CASE, 0)):
        act(*arguments, {"from": operator})
    assert balances(token, people) == before
    act(CASE, 1, *arguments[2:], {"from": operator})
    act(OTHER_CASE, 0, *arguments[2:], {"from": operator})


def test_forced_act__that_failed__number_is_not_used_up(agent, token, people, operator):
    with reverts("sender balance too low"):
        agent.forcedTransfer(CASE, 7, token, people[0], people[1], 101, {"from": operator})
    assert not agent.isExecuted(CASE, 7)
    agent.forcedTransfer(CASE, 7, token, people[0], people[1], 100, {"from": operator})
    assert agent.isExecuted(CASE, 7)


# Acts


def test_forced_transfer__moves_and_logged(agent, token, people, operator):
    a, b, _ = people
    sent = agent.forcedTransfer(CASE, 3, token, a, b, 30, {"from": operator})
    assert_logged(sent, operator, token, FORCED_TRANSFER, 3, a, b, 30)
    names = [event.name for event in sent.events]
    assert names.index("CaseActExecuted") < names.index("Transfer")
    assert balances(token, people) == [70, 130, 100]


def test_transfer__free__no_case_in_its_log(suite, people):
    sent = suite.send(people[0], people[1], 1)
    assert "CaseActExecuted" not in sent.events


def test_forced_transfer__receiver_not_verified__refused(agent, token, people, operator, stranger):
    with reverts("Transfer not possible"):
        agent.forcedTransfer(CASE, 0, token, people[0], stranger, 1, {"from": operator})


def test_batch_forced_transfer__succession__divided_and_numbered(agent, token, people, operator):
    a, b, c = people
    sent = agent.batchForcedTransfer(CASE, 5, token, a, [b, c], [60, 40], {"from": operator})
    assert_logged(sent, operator, token, FORCED_TRANSFER, 5, a, b, 60, position=0)
    assert_logged(sent, operator, token, FORCED_TRANSFER, 6, a, c, 40, position=1)
    assert balances(token, people) == [0, 160, 140]
    assert agent.isExecuted(CASE, 5)
    assert agent.isExecuted(CASE, 6)


def test_batch_forced_transfer__one_refused__none_moved(agent, token, people, operator, stranger):
    with reverts("Transfer not possible"):
        agent.batchForcedTransfer(
            CASE, 5, token, people[0], [people[1], stranger], [1, 1], {"from": operator}
        )
    assert balances(token, people) == [100, 100, 100]
    assert not agent.isExecuted(CASE, 5)


def test_batches__lengths_differ__refused(agent, token, people, operator, issuer_key):
    with reverts(error("CaseLengthMismatch", 2, 1)):
        agent.batchForcedTransfer(CASE, 5, token, people[0], people[1:], [1], {"from": operator})
    with reverts(error("CaseLengthMismatch", 1, 2)):
        agent.batchMint(token, people[:1], [1, 2], {"from": issuer_key})


def test_burn__destroyed_and_logged(agent, token, people, operator):
    sent = agent.burn(CASE, 1, token, people[0], 30, {"from": operator})
    assert_logged(sent, operator, token, BURN, 1, people[0], ZERO_ADDRESS, 30)
    assert balances(token, people) == [70, 100, 100]


def test_set_wallet_frozen__on_and_off__logged(agent, token, people, operator, suite):
    wallet = people[0]
    sent = agent.setWalletFrozen(CASE, 1, token, wallet, True, {"from": operator})
    assert_logged(sent, operator, token, FREEZE_WALLET, 1, wallet, ZERO_ADDRESS, 0)
    with reverts("wallet is frozen"):
        suite.send(wallet, people[1], 1)
    sent = agent.setWalletFrozen(CASE, 2, token, wallet, False, {"from": operator})
    assert_logged(sent, operator, token, UNFREEZE_WALLET, 2, wallet, ZERO_ADDRESS, 0)
    suite.send(wallet, people[1], 1)


def test_freeze_units__some_and_free_again__logged(agent, token, people, operator):
    wallet = people[0]
    sent = agent.freezeUnits(CASE, 1, token, wallet, 30, {"from": operator})
    assert_logged(sent, operator, token, FREEZE_UNITS, 1, wallet, ZERO_ADDRESS, 30)
    assert token.getFrozenTokens(wallet) == 30
    sent = agent.unfreezeUnits(CASE, 2, token, wallet, 20, {"from": operator})
    assert_logged(sent, operator, token, UNFREEZE_UNITS, 2, wallet, ZERO_ADDRESS, 20)
    assert token.getFrozenTokens(wallet) == 10
    with reverts("Amount should be less than or equal to frozen tokens"):
        agent.unfreezeUnits(CASE, 3, token, wallet, 11, {"from": operator})


# Minting and pausing


def test_mint__by_issuer__minted(agent, token, people, issuer_key):
    agent.mint(token, people[0], 5, {"from": issuer_key})
    agent.batchMint(token, people, [1, 2, 3], {"from": issuer_key})
    assert balances(token, people) == [106, 102, 103]


def test_pause_and_unpause__announced(agent, token, pauser, issuer_key, suite, people):
    event = agent.pause(token, {"from": pauser}).events["TokenPaused"]
    assert (event["token"], event["operator"]) == (token, pauser)
    with reverts("Pausable: paused"):
        suite.send(people[0], people[1], 1)
    event = agent.unpause(token, {"from": issuer_key}).events["TokenOpened"]
    assert (event["token"], event["operator"]) == (token, issuer_key)
    suite.send(people[0], people[1], 1)


def test_opened__before_and_after(agent, platform, suite):
    assert agent.opened(suite.token)
    assert not agent.opened(platform.suite(agent).token)


def test_pause__twice__refused_by_token(agent, token, pauser):
    agent.pause(token, {"from": pauser})
    with reverts("Pausable: paused"):
        agent.pause(token, {"from": pauser})


# Recovery


def test_recover__new_wallet__everything_moves_with_its_freezes(
    agent, suite, token, people, operator, new_key
):
    lost = people[0]
    identity = suite.registry.identity(lost)
    agent.freezeUnits(CASE, 1, token, lost, 30, {"from": operator})
    agent.setWalletFrozen(CASE, 2, token, lost, True, {"from": operator})
    sent = agent.recover(CASE, 3, token, lost, new_key, identity, {"from": operator})
    assert_logged(sent, operator, token, RECOVERY, 3, lost, new_key, 100)
    assert balances(token, [lost, new_key]) == [0, 100]
    assert token.getFrozenTokens(new_key) == 30
    assert token.isFrozen(new_key)
    assert suite.registry.identity(new_key) == identity
    assert suite.registry.identity(lost) == ZERO_ADDRESS
    assert agent.successorOf(suite.storage, lost) == new_key


def test_recover__number_used__refused(agent, suite, token, people, operator, new_key):
    agent.burn(CASE, 1, token, people[1], 1, {"from": operator})
    with reverts(error("CaseActAlreadyExecuted", CASE, 1)):
        agent.recover(
            CASE, 1, token, people[0], new_key, suite.registry.identity(people[0]),
            {"from": operator},
        )  # fmt: skip


def test_recover__empty_wallet__refused(agent, suite, token, operator):
    wallet = suite.person()
    with reverts(error("CaseNothingToRecover", token, wallet)):
        agent.recover(
            CASE, 1, token, wallet, wallet, suite.registry.identity(wallet), {"from": operator}
        )


def test_recover__new_wallet_is_no_key__refused(agent, suite, token, people, operator, stranger):
    identity = suite.registry.identity(people[0])
    with reverts(error("CaseWalletNotKey", stranger, identity)):
        agent.recover(CASE, 1, token, people[0], stranger, identity, {"from": operator})


def test_recover__to_the_identity_of_another__refused(agent, suite, token, people, operator, owner):
    """The published token would give the units to whoever the agent names."""
    thief, victim = people[:2]
    identity = suite.registry.identity(thief)
    wallet = new_wallet()
    suite.identity(thief).addKey(key_of(wallet), 1, 1, {"from": owner})
    owned = suite.registry.identity(victim)
    with reverts(error("CaseWalletOfOther", token, victim, owned, identity)):
        agent.recover(CASE, 1, token, victim, wallet, identity, {"from": operator})
    suite.registry.deleteIdentity(victim, {"from": owner})
    with reverts(error("CaseWalletOfOther", token, victim, ZERO_ADDRESS, identity)):
        agent.recover(CASE, 1, token, victim, wallet, identity, {"from": operator})
    assert balances(token, [victim, wallet]) == [100, 0]


def test_recover__new_wallet_registered_for_another__refused(
    agent, suite, token, people, operator, owner
):
    lost, other, _ = people
    identity = suite.registry.identity(lost)
    suite.identity(lost).addKey(key_of(other), 1, 1, {"from": owner})
    with reverts(
        error("CaseWalletOfOther", token, other, suite.registry.identity(other), identity)
    ):
        agent.recover(CASE, 1, token, lost, other, identity, {"from": operator})


def test_recover__to_a_registered_wallet_of_the_same_person__moved(
    agent, suite, token, people, operator, owner
):
    """The published recovery fails, as it registers the new wallet itself."""
    lost = people[0]
    second = suite.second_wallet(lost)
    suite.identity(lost).addKey(key_of(second), 1, 1, {"from": owner})
    identity = suite.registry.identity(lost)
    agent.freezeUnits(CASE, 1, token, lost, 30, {"from": operator})
    agent.recover(CASE, 2, token, lost, second, identity, {"from": operator})
    assert balances(token, [lost, second]) == [0, 100]
    assert token.getFrozenTokens(second) == 30
    assert not token.isFrozen(second)

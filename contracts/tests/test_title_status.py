"""The status of the title behind a token, and who may change it."""

import pytest
from brownie import ZERO_ADDRESS, reverts
from eth_utils import keccak
from suite import CLEAR, HALT, NO_MINT, NOTICE, ROOT_A, ROOT_B, error

NO_ROOT = bytes(32)
ROLE = keccak(text="STATUS_ROLE")


@pytest.fixture(scope="module")
def suite(platform, agent, title):
    return platform.suite(agent, [title])


@pytest.fixture(scope="module")
def people(suite):
    """Two holders of an open token."""
    wallets = [suite.person(), suite.person()]
    for wallet in wallets:
        suite.mint(wallet, 100)
    suite.open()
    return wallets


@pytest.fixture
def halted(title, suite, status_key):
    title.setStatus(suite.compliance, HALT, ROOT_A, {"from": status_key})


def status_of(title, suite):
    _bound, status, nonce, _changed_at, root = title.titleOf(suite.compliance)
    return status, nonce, bytes(root)


# Setting


def test_constructor__admin_and_keys__roles_given(title, owner, status_key, second_status_key):
    assert title.defaultAdmin() == owner
    assert title.hasRole(ROLE, status_key)
    assert title.hasRole(ROLE, second_status_key)
    assert not title.hasRole(ROLE, owner), "the admin names keys and is none"


def test_constructor__no_admin__refused(TitleStatusModule, owner):
    with reverts(error("AccessControlInvalidDefaultAdmin", ZERO_ADDRESS)):
        TitleStatusModule.deploy(ZERO_ADDRESS, 0, [], {"from": owner})


def test_title__new__is_clear(title, suite):
    assert status_of(title, suite) == (CLEAR, 0, NO_ROOT)


@pytest.mark.parametrize("status", [NOTICE, NO_MINT, HALT])
def test_set_status__raised__stored_and_announced(title, suite, status_key, now, status):
    sent = title.setStatus(suite.compliance, status, ROOT_A, {"from": status_key})
    assert status_of(title, suite) == (status, 1, ROOT_A)
    assert title.titleOf(suite.compliance)[3] == now()
    event = sent.events["TitleStatusChanged"]
    assert event["compliance"] == suite.compliance
    assert (event["oldStatus"], event["newStatus"]) == (CLEAR, status)
    assert (bytes(event["oldRoot"]), bytes(event["newRoot"])) == (NO_ROOT, ROOT_A)
    assert (event["nonce"], event["key"]) == (1, status_key)


@pytest.mark.parametrize(("high", "low"), [(NO_MINT, NOTICE), (NO_MINT, CLEAR), (NOTICE, CLEAR)])
def test_set_status__lowered_from_below_halt__one_key_suffices(title, suite, status_key, high, low):
    title.setStatus(suite.compliance, high, ROOT_A, {"from": status_key})
    title.setStatus(suite.compliance, low, ROOT_B, {"from": status_key})
    assert status_of(title, suite) == (low, 2, ROOT_B)


def test_set_status__same_again__nothing_changes(title, suite, status_key):
    title.setStatus(suite.compliance, HALT, ROOT_A, {"from": status_key})
    sent = title.setStatus(suite.compliance, HALT, ROOT_A, {"from": status_key})
    assert "TitleStatusChanged" not in sent.events
    assert status_of(title, suite) == (HALT, 1, ROOT_A)


def test_set_status__new_root_under_halt__stays_halted(title, suite, status_key, halted):
    title.setStatus(suite.compliance, HALT, ROOT_B, {"from": status_key})
    assert status_of(title, suite) == (HALT, 2, ROOT_B)


def test_set_status__beyond_the_last__refused(title, suite, status_key):
    with reverts():
        title.setStatus(suite.compliance, HALT + 1, ROOT_A, {"from": status_key})
    assert status_of(title, suite) == (CLEAR, 0, NO_ROOT)


@pytest.mark.parametrize("by", ["owner", "stranger"])
def test_set_status__not_a_key__refused(title, suite, request, by):
    account = request.getfixturevalue(by)
    with reverts(error("AccessControlUnauthorizedAccount", account, ROLE)):
        title.setStatus(suite.compliance, HALT, ROOT_A, {"from": account})
    with reverts(error("AccessControlUnauthorizedAccount", account, ROLE)):
        title.halt([suite.compliance], [ROOT_A], {"from": account})


def test_set_status__revoked_key__refused(title, suite, owner, status_key):
    title.revokeRole(ROLE, status_key, {"from": owner})
    with reverts(error("AccessControlUnauthorizedAccount", status_key, ROLE)):
        title.setStatus(suite.compliance, HALT, ROOT_A, {"from": status_key})


def test_set_status__of_a_compliance_not_bound__refused(title, stranger, status_key):
    """A slip in the address must not look like a halt."""
    with reverts(error("ModuleComplianceNotBound", stranger)):
        title.setStatus(stranger, HALT, ROOT_A, {"from": status_key})


def test_halt__several_tokens__all_in_one_transaction(title, suite, platform, agent, status_key):
    others = [platform.suite(agent, [title]) for _ in range(2)]
    compliances = [each.compliance for each in (suite, *others)]
    sent = title.halt(compliances, [ROOT_A, ROOT_B, ROOT_A], {"from": status_key})
    assert [event["compliance"] for event in sent.events["TitleStatusChanged"]] == compliances
    assert [status_of(title, each)[2] for each in (suite, *others)] == [ROOT_A, ROOT_B, ROOT_A]
    assert all(status_of(title, each)[0] == HALT for each in (suite, *others))


def test_halt__one_not_bound__nothing_halted_and_that_one_named(title, suite, stranger, status_key):
    with reverts(error("ModuleComplianceNotBound", stranger)):
        title.halt([suite.compliance, stranger], [ROOT_A, ROOT_A], {"from": status_key})
    assert status_of(title, suite) == (CLEAR, 0, NO_ROOT)


def test_halt__lengths_differ__refused(title, suite, status_key):
    with reverts(error("TitleLengthMismatch", 1, 2)):
        title.halt([suite.compliance], [ROOT_A, ROOT_B], {"from": status_key})


def test_halt__halted_already__passes(title, suite, status_key, halted):
    title.halt([suite.compliance], [ROOT_A], {"from": status_key})
    assert status_of(title, suite) == (HALT, 1, ROOT_A)


# Lifting a halt


@pytest.mark.parametrize("status", [CLEAR, NOTICE, NO_MINT])
def test_set_status__out_of_halt__refused(title, suite, status_key, halted, status):
    with reverts(error("TitleLiftNeedsTwoKeys", suite.compliance, ROOT_A, status)):
        title.setStatus(suite.compliance, status, ROOT_A, {"from": status_key})
    assert status_of(title, suite)[0] == HALT


@pytest.mark.parametrize("status", [CLEAR, NOTICE, NO_MINT])
def test_lift__proposed_and_confirmed_by_another__ends(
    title, suite, status_key, second_status_key, halted, status
):
    sent = title.proposeLift(suite.compliance, ROOT_A, status, ROOT_B, {"from": status_key})
    event = sent.events["LiftProposed"]
    assert event["compliance"] == suite.compliance
    assert (event["nonce"], event["proposer"], event["status"]) == (1, status_key, status)
    assert (bytes(event["currentRoot"]), bytes(event["newRoot"])) == (ROOT_A, ROOT_B)
    proposer, nonce, to_status, to_root = title.liftOf(suite.compliance)
    assert (proposer, nonce, to_status, bytes(to_root)) == (status_key, 1, status, ROOT_B)
    assert status_of(title, suite) == (HALT, 1, ROOT_A), "a proposal lifts nothing"
    sent = title.confirmLift(
        suite.compliance, ROOT_A, 1, status, ROOT_B, {"from": second_status_key}
    )
    event = sent.events["TitleStatusChanged"]
    assert (event["oldStatus"], event["newStatus"]) == (HALT, status)
    assert status_of(title, suite) == (status, 2, ROOT_B)
    assert title.liftOf(suite.compliance)[0] == ZERO_ADDRESS


def test_confirm_lift__by_proposer__refused(title, suite, status_key, halted):
    title.proposeLift(suite.compliance, ROOT_A, CLEAR, ROOT_B, {"from": status_key})
    with reverts(error("TitleLiftSameKey", suite.compliance, status_key)):
        title.confirmLift(suite.compliance, ROOT_A, 1, CLEAR, ROOT_B, {"from": status_key})
    assert status_of(title, suite)[0] == HALT


def test_confirm_lift__proposer_revoked_since__refused(
    title, suite, owner, status_key, second_status_key, halted
):
    title.proposeLift(suite.compliance, ROOT_A, CLEAR, ROOT_B, {"from": status_key})
    title.revokeRole(ROLE, status_key, {"from": owner})
    with reverts(error("TitleLiftProposerRevoked", suite.compliance, status_key)):
        title.confirmLift(suite.compliance, ROOT_A, 1, CLEAR, ROOT_B, {"from": second_status_key})


@pytest.mark.parametrize(
    ("nonce", "status", "root"), [(2, CLEAR, ROOT_B), (1, NOTICE, ROOT_B), (1, CLEAR, ROOT_A)]
)
def test_confirm_lift__other_values_than_proposed__refused(
    title, suite, status_key, second_status_key, halted, nonce, status, root
):
    title.proposeLift(suite.compliance, ROOT_A, CLEAR, ROOT_B, {"from": status_key})
    with reverts(error("TitleLiftNotProposed", suite.compliance, nonce, status, root)):
        title.confirmLift(
            suite.compliance, ROOT_A, nonce, status, root, {"from": second_status_key}
        )


def test_confirm_lift__nothing_proposed__refused(title, suite, status_key, halted):
    with reverts(error("TitleLiftNotProposed", suite.compliance, 1, CLEAR, NO_ROOT)):
        title.confirmLift(suite.compliance, ROOT_A, 1, CLEAR, NO_ROOT, {"from": status_key})


def test_confirm_lift__new_encumbrance_since__refused(
    title, suite, status_key, second_status_key, halted
):
    title.proposeLift(suite.compliance, ROOT_A, CLEAR, ROOT_B, {"from": status_key})
    title.setStatus(suite.compliance, HALT, ROOT_B, {"from": status_key})
    assert title.liftOf(suite.compliance)[0] == ZERO_ADDRESS, "the change voided it"
    with reverts(error("TitleRootMismatch", suite.compliance, ROOT_A, ROOT_B)):
        title.confirmLift(suite.compliance, ROOT_A, 1, CLEAR, ROOT_B, {"from": second_status_key})
    with reverts(error("TitleLiftNotProposed", suite.compliance, 2, CLEAR, ROOT_B)):
        title.confirmLift(suite.compliance, ROOT_B, 2, CLEAR, ROOT_B, {"from": second_status_key})


def test_confirm_lift__halted_anew_on_the_same_root__old_confirmation_worthless(
    title, suite, status_key, second_status_key, halted
):
    lift = (suite.compliance, ROOT_A, CLEAR, ROOT_B)
    title.proposeLift(*lift, {"from": status_key})
    title.confirmLift(suite.compliance, ROOT_A, 1, CLEAR, ROOT_B, {"from": second_status_key})
    title.setStatus(suite.compliance, HALT, ROOT_A, {"from": status_key})
    title.proposeLift(*lift, {"from": status_key})
    with reverts(error("TitleLiftNotProposed", suite.compliance, 1, CLEAR, ROOT_B)):
        title.confirmLift(suite.compliance, ROOT_A, 1, CLEAR, ROOT_B, {"from": second_status_key})
    title.confirmLift(suite.compliance, ROOT_A, 3, CLEAR, ROOT_B, {"from": second_status_key})


def test_propose_lift__twice__the_later_stands(title, suite, status_key, second_status_key, halted):
    title.proposeLift(suite.compliance, ROOT_A, CLEAR, ROOT_B, {"from": status_key})
    title.proposeLift(suite.compliance, ROOT_A, NOTICE, ROOT_B, {"from": second_status_key})
    with reverts(error("TitleLiftNotProposed", suite.compliance, 1, CLEAR, ROOT_B)):
        title.confirmLift(suite.compliance, ROOT_A, 1, CLEAR, ROOT_B, {"from": second_status_key})
    title.confirmLift(suite.compliance, ROOT_A, 1, NOTICE, ROOT_B, {"from": status_key})


def test_propose_lift__to_halt__refused(title, suite, status_key, halted):
    with reverts(error("TitleLiftNeedsTwoKeys", suite.compliance, ROOT_A, HALT)):
        title.proposeLift(suite.compliance, ROOT_A, HALT, ROOT_B, {"from": status_key})


@pytest.mark.parametrize("status", [CLEAR, NOTICE, NO_MINT])
def test_propose_and_confirm__not_halted__refused(title, suite, status_key, status):
    title.setStatus(suite.compliance, status, NO_ROOT, {"from": status_key})
    with reverts(error("TitleNotHalted", suite.compliance, status)):
        title.proposeLift(suite.compliance, NO_ROOT, CLEAR, ROOT_B, {"from": status_key})
    with reverts(error("TitleNotHalted", suite.compliance, status)):
        title.confirmLift(suite.compliance, NO_ROOT, 1, CLEAR, ROOT_B, {"from": status_key})


def test_propose_lift__for_another_root__refused(title, suite, status_key, halted):
    with reverts(error("TitleRootMismatch", suite.compliance, ROOT_B, ROOT_A)):
        title.proposeLift(suite.compliance, ROOT_B, CLEAR, ROOT_B, {"from": status_key})


def test_lift__by_a_stranger__refused(title, suite, stranger, halted):
    refused = error("AccessControlUnauthorizedAccount", stranger, ROLE)
    with reverts(refused):
        title.proposeLift(suite.compliance, ROOT_A, CLEAR, ROOT_B, {"from": stranger})
    with reverts(refused):
        title.confirmLift(suite.compliance, ROOT_A, 1, CLEAR, ROOT_B, {"from": stranger})
    with reverts(refused):
        title.withdrawLift(suite.compliance, {"from": stranger})


def test_withdraw_lift__proposed__gone_and_announced(
    title, suite, status_key, second_status_key, halted
):
    title.proposeLift(suite.compliance, ROOT_A, CLEAR, ROOT_B, {"from": status_key})
    sent = title.withdrawLift(suite.compliance, {"from": second_status_key})
    event = sent.events["LiftWithdrawn"]
    assert (event["compliance"], event["nonce"]) == (suite.compliance, 1)
    assert event["key"] == second_status_key
    with reverts(error("TitleLiftNotProposed", suite.compliance, 1, CLEAR, ROOT_B)):
        title.confirmLift(suite.compliance, ROOT_A, 1, CLEAR, ROOT_B, {"from": second_status_key})


def test_withdraw_lift__nothing_proposed__refused(title, suite, status_key, halted):
    with reverts(error("TitleLiftNotProposed", suite.compliance, 0, CLEAR, NO_ROOT)):
        title.withdrawLift(suite.compliance, {"from": status_key})


# What it stops


@pytest.mark.parametrize("status", [CLEAR, NOTICE])
def test_token__clear_or_notice__everything_possible(title, suite, people, status_key, status):
    a, b = people
    title.setStatus(suite.compliance, status, ROOT_A, {"from": status_key})
    assert suite.why(title, a, b, 1) is None
    assert suite.why(title, None, b, 1) is None
    suite.send(a, b, 1)
    suite.mint(a, 1)
    suite.force(b, a, 1)
    suite.burn(a, 1)
    assert (suite.token.balanceOf(a), suite.token.balanceOf(b)) == (100, 100)


def test_token__no_mint__only_mint_refused(title, suite, people, status_key):
    a, b = people
    title.setStatus(suite.compliance, NO_MINT, ROOT_A, {"from": status_key})
    assert suite.why(title, None, b, 1) == error("TitleNoMint", suite.compliance, ROOT_A)
    assert suite.why(title, a, b, 1) is None
    with reverts("Compliance not followed"):
        suite.mint(a, 1)
    suite.send(a, b, 1)
    suite.force(b, a, 1)
    suite.burn(a, 1)


def test_token__halted__nothing_moves(title, suite, people, halted):
    a, b = people
    refused = error("TitleHalted", suite.compliance, ROOT_A)
    assert suite.why(title, a, b, 1) == suite.why(title, None, b, 1) == refused
    with reverts("Transfer not possible"):
        suite.send(a, b, 1)
    with reverts("Compliance not followed"):
        suite.mint(a, 1)
    with reverts(refused):
        suite.force(a, b, 1)
    with reverts(refused):
        suite.burn(a, 1)
    assert (suite.token.balanceOf(a), suite.token.balanceOf(b)) == (100, 100)
    assert suite.token.totalSupply() == 200


def test_actions__by_themselves__refuse_too(title, suite, accounts, status_key):
    """A token that does not ask before it mints is stopped all the same."""
    compliance, (a, b) = accounts[4], accounts[5:7]
    title.bindCompliance(compliance, {"from": compliance})
    title.setStatus(compliance, NO_MINT, ROOT_A, {"from": status_key})
    title.moduleTransferAction(a, b, 1, {"from": compliance})
    title.moduleBurnAction(a, 1, {"from": compliance})
    with reverts(error("TitleNoMint", compliance, ROOT_A)):
        title.moduleMintAction(b, 1, {"from": compliance})
    title.setStatus(compliance, HALT, ROOT_B, {"from": status_key})
    refused = error("TitleHalted", compliance, ROOT_B)
    with reverts(refused):
        title.moduleTransferAction(a, b, 1, {"from": compliance})
    with reverts(refused):
        title.moduleBurnAction(a, 1, {"from": compliance})
    with reverts(refused):
        title.moduleMintAction(b, 1, {"from": compliance})


def test_token__another_of_the_platform__not_touched(title, platform, agent, suite, halted):
    other = platform.suite(agent, [title])
    wallet = other.person()
    other.mint(wallet, 5)
    assert other.token.balanceOf(wallet) == 5


def test_remove_module__halted__refused(title, suite, halted):
    with reverts(error("TitleHalted", suite.compliance, ROOT_A)):
        suite.remove(title)
    assert suite.compliance.isModuleBound(title)


def test_remove_and_add_module__status_stays(title, suite, status_key):
    title.setStatus(suite.compliance, NO_MINT, ROOT_A, {"from": status_key})
    suite.remove(title)
    suite.add(title)
    assert status_of(title, suite) == (NO_MINT, 1, ROOT_A)

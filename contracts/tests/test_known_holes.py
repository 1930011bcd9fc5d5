"""What the published suite leaves open, shown on it alone, and closed or contained by ours.

The numbers are those of the list of known holes in ADR 0022.
"""

import pytest
from brownie import ZERO_ADDRESS, reverts
from suite import BRITAIN, CASE, HALT, PAKISTAN, ROOT_A, error, key_of, new_wallet


@pytest.fixture(scope="module")
def bare(platform, owner):
    """A token as published: an agent with a plain key, no modules of ours."""
    suite = platform.suite(owner)
    suite.token.unpause({"from": owner})
    return suite


@pytest.fixture(scope="module")
def guarded(platform, agent, title, countries, max_balance, holder_cap):
    """A token with our agent and our modules."""
    suite = platform.suite(agent, [title, countries, max_balance, holder_cap])
    suite.set(countries.allowCountries, [PAKISTAN])
    suite.set(max_balance.setMaxBalance, 100)
    suite.set(holder_cap.setHolderCap, 10)
    suite.open()
    return suite


# 1. Minting while paused, or to a frozen wallet


def test_mint__while_paused__published_mints(bare, owner):
    wallet = bare.person()
    bare.token.pause({"from": owner})
    bare.token.setAddressFrozen(wallet, True, {"from": owner})
    bare.token.mint(wallet, 5, {"from": owner})
    assert bare.token.balanceOf(wallet) == 5


def test_mint__while_paused__ours_refuses(guarded, agent, owner):
    wallet = guarded.person()
    agent.pause(guarded.token, {"from": owner})
    for act, arguments in ((agent.mint, (wallet, 5)), (agent.batchMint, ([wallet], [5]))):
        with reverts(error("MintWhilePaused", guarded.token)):
            act(guarded.token, *arguments, {"from": owner})
    agent.unpause(guarded.token, {"from": owner})
    guarded.mint(wallet, 5)


def test_mint__before_the_token_was_ever_opened__possible(platform, agent):
    """The first issue is made while the new token is still paused."""
    suite = platform.suite(agent)
    wallet = suite.person()
    suite.mint(wallet, 5)
    assert suite.token.paused()
    assert suite.token.balanceOf(wallet) == 5


def test_mint__to_a_frozen_wallet__ours_refuses(guarded, agent, owner):
    good, frozen = guarded.person(), guarded.person()
    agent.setWalletFrozen(CASE, 1, guarded.token, frozen, True, {"from": owner})
    refused = error("MintToFrozenWallet", guarded.token, frozen)
    with reverts(refused):
        guarded.mint(frozen, 5)
    with reverts(refused):
        agent.batchMint(guarded.token, [good, frozen], [5, 5], {"from": owner})
    assert guarded.token.totalSupply() == 0


# 2. A forced transfer is never checked


def test_forced_transfer__published__past_every_check_and_unmarked(bare, owner):
    a, abroad = bare.person(), bare.person(BRITAIN)
    bare.token.mint(a, 5, {"from": owner})
    bare.token.pause({"from": owner})
    sent = bare.token.forcedTransfer(a, abroad, 5, {"from": owner})
    assert [event.name for event in sent.events] == ["Transfer"]


def test_forced_transfer__ours__stopped_by_a_halt(guarded, title, status_key):
    a, b = guarded.person(), guarded.person()
    guarded.mint(a, 5)
    title.setStatus(guarded.compliance, HALT, ROOT_A, {"from": status_key})
    with reverts(error("TitleHalted", guarded.compliance, ROOT_A)):
        guarded.force(a, b, 5)
    assert guarded.token.balanceOf(a) == 5


def test_forced_transfer__ours__past_country_but_with_a_case(guarded):
    """Contained: a court may give to somebody abroad, and the log says by which case."""
    a, abroad = guarded.person(), guarded.person(BRITAIN)
    guarded.mint(a, 5)
    sent = guarded.force(a, abroad, 5)
    assert bytes(sent.events["CaseActExecuted"]["caseId"]) == CASE
    assert guarded.token.balanceOf(abroad) == 5


def test_forced_acts__by_any_key_on_the_token_itself__refused(guarded, owner, stranger):
    """The agent contract is the only agent: not even the platform's key acts without a case."""
    a, b = guarded.person(), guarded.person()
    guarded.mint(a, 5)
    token = guarded.token
    for key in (owner, stranger):
        for act, arguments in (
            (token.forcedTransfer, (a, b, 5)),
            (token.batchForcedTransfer, ([a], [b], [5])),
            (token.burn, (a, 5)),
            (token.mint, (a, 5)),
            (token.setAddressFrozen, (a, True)),
            (token.freezePartialTokens, (a, 5)),
            (token.recoveryAddress, (a, b, guarded.registry.identity(a))),
            (token.pause, ()),
        ):
            with reverts("AgentRole: caller does not have the Agent role"):
                act(*arguments, {"from": key})


# 3. A deleted identity bricks the wallet (published: MaxBalanceModule, "identity not found")


def test_delete_identity__ours__wallet_still_moves(guarded, owner):
    a, b = guarded.person(), guarded.person()
    guarded.mint(a, 30)
    guarded.registry.deleteIdentity(a, {"from": owner})
    guarded.send(a, b, 10)
    guarded.force(a, b, 10)
    guarded.burn(a, 10)
    assert (guarded.token.balanceOf(a), guarded.token.balanceOf(b)) == (0, 20)


# 4. Recovery where two tokens share an identity storage


@pytest.fixture
def shared(platform, agent, owner, max_balance, holder_cap):
    """Two tokens on one storage, held by the same wallet, and its holder's new wallet."""
    first = platform.suite(agent, [max_balance, holder_cap])
    second = platform.suite(agent, [max_balance, holder_cap], storage=first.storage)
    wallet, new = first.person(), new_wallet()
    for suite in (first, second):
        suite.set(max_balance.setMaxBalance, 100)
        suite.set(holder_cap.setHolderCap, 1)
        suite.open()
        suite.mint(wallet, 100)
    first.identity(wallet).addKey(key_of(new), 1, 1, {"from": owner})
    return first, second, wallet, new


def test_recovery__shared_storage__published_fails_on_the_second_token(platform, owner):
    first = platform.suite(owner)
    second = platform.suite(owner, storage=first.storage)
    wallet, new = first.person(), new_wallet()
    identity = first.registry.identity(wallet)
    first.identity(wallet).addKey(key_of(new), 1, 1, {"from": owner})
    for suite in (first, second):
        suite.token.mint(wallet, 5, {"from": owner})
    first.token.recoveryAddress(wallet, new, identity, {"from": owner})
    with reverts("address stored already"):
        second.token.recoveryAddress(wallet, new, identity, {"from": owner})


def test_recovery__shared_storage__ours_moves_both(shared, agent, owner, max_balance, holder_cap):
    first, second, wallet, new = shared
    identity = first.registry.identity(wallet)
    agent.freezeUnits(CASE, 100, second.token, wallet, 30, {"from": owner})
    agent.setWalletFrozen(CASE, 101, second.token, wallet, True, {"from": owner})
    agent.recover(CASE, 102, first.token, wallet, new, identity, {"from": owner})
    assert first.registry.identity(wallet) == ZERO_ADDRESS
    agent.recover(CASE, 103, second.token, wallet, new, identity, {"from": owner})
    for suite in (first, second):
        assert suite.token.balanceOf(new) == 100
        assert suite.token.balanceOf(wallet) == 0
        assert max_balance.heldBy(suite.compliance, identity) == 100
        assert holder_cap.holderCount(suite.compliance) == 1
    assert second.token.getFrozenTokens(new) == 30
    assert second.token.isFrozen(new)
    assert not first.token.isFrozen(new)


def test_recovery__shared_storage__only_to_the_wallet_of_the_first(shared, agent, owner):
    """Once the lost wallet has no identity, the first recovery is the proof of whose it was."""
    first, second, wallet, new = shared
    identity = first.registry.identity(wallet)
    agent.recover(CASE, 102, first.token, wallet, new, identity, {"from": owner})
    thief = second.person()
    theirs = second.registry.identity(thief)
    second.identity(thief).addKey(key_of(thief), 1, 1, {"from": owner})
    with reverts(error("CaseWalletOfOther", second.token, wallet, ZERO_ADDRESS, theirs)):
        agent.recover(CASE, 103, second.token, wallet, thief, theirs, {"from": owner})


def test_recovery__shared_storage__new_wallet_deleted_since__needs_its_identity_back(
    shared, agent, owner, platform
):
    """A wallet without identity proves nothing, and must not be registered for whom one likes."""
    first, second, wallet, new = shared
    identity = first.registry.identity(wallet)
    agent.recover(CASE, 102, first.token, wallet, new, identity, {"from": owner})
    first.registry.deleteIdentity(new, {"from": owner})
    another = platform.identity(new_wallet())
    another.addKey(key_of(new), 1, 1, {"from": owner})
    for claimed in (another.address, identity):
        with reverts(error("CaseWalletOfOther", second.token, new, ZERO_ADDRESS, claimed)):
            agent.recover(CASE, 103, second.token, wallet, new, claimed, {"from": owner})
    first.register(new, identity)
    agent.recover(CASE, 103, second.token, wallet, new, identity, {"from": owner})
    assert second.token.balanceOf(new) == 100


def test_recovery__lost_wallet_given_to_another_since__not_to_the_old_person(shared, agent, owner):
    first, second, wallet, new = shared
    identity = first.registry.identity(wallet)
    agent.recover(CASE, 102, first.token, wallet, new, identity, {"from": owner})
    another = second.platform.identity(new_wallet())
    second.register(wallet, another)
    with reverts(error("CaseWalletOfOther", second.token, wallet, another, identity)):
        agent.recover(CASE, 103, second.token, wallet, new, identity, {"from": owner})


# 5. Moving one's own units between own wallets near the limit


def test_own_wallets__at_the_limit__ours_lets_them_move(guarded):
    a = guarded.person()
    guarded.mint(a, 100)
    second = guarded.second_wallet(a)
    guarded.send(a, second, 100)
    guarded.send(second, a, 1)
    assert guarded.token.balanceOf(second) == 99


# 6. Removing a module, or another compliance


def test_remove_module__halted__owner_cannot_step_around(guarded, title, status_key):
    title.setStatus(guarded.compliance, HALT, ROOT_A, {"from": status_key})
    with reverts(error("TitleHalted", guarded.compliance, ROOT_A)):
        guarded.remove(title)

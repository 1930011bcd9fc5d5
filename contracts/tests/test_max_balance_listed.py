"""The limit on what one person holds, where our factory lists the wallets."""

import pytest
from brownie import ZERO_ADDRESS, reverts, web3
from own_people import OwnPeople
from suite import error, new_wallet

LIMIT = 100


@pytest.fixture(scope="module")
def suite(platform, agent, max_balance):
    suite = platform.suite(agent, [max_balance])
    suite.set(max_balance.setMaxBalance, LIMIT)
    suite.open()
    return suite


@pytest.fixture(scope="module")
def people(suite, factory, operator):
    return OwnPeople(suite, factory, operator)


@pytest.fixture(scope="module")
def alice(suite, people):
    """The first wallet of a person, with 60 units."""
    wallet = people.person()
    suite.mint(wallet, 60)
    return wallet


@pytest.fixture(scope="module")
def bob(suite):
    """A wallet of somebody with a published identity, with 60 units."""
    wallet = suite.person()
    suite.mint(wallet, 60)
    return wallet


@pytest.fixture
def written_by(max_balance):
    """Return a function that tells how many words of the module a transaction changed."""

    def count(sent):
        tracer = {"tracer": "prestateTracer", "tracerConfig": {"diffMode": True}}
        answer = web3.provider.make_request("debug_traceTransaction", [sent.txid, tracer])
        changed = answer["result"]["post"].get(max_balance.address.lower(), {})
        return len(changed.get("storage", {}))

    return count


@pytest.fixture
def held(suite, max_balance):
    return lambda wallet: max_balance.heldBy(suite.compliance, suite.registry.identity(wallet))


def exceeded(suite, wallet, held, value):
    identity = suite.registry.identity(wallet)
    return error("MaxBalanceExceeded", suite.compliance, identity, held, value, LIMIT)


def test_receive__listed_wallet__nothing_is_stored(suite, people, alice, bob, held, written_by):
    second = people.second_wallet(alice)
    assert written_by(suite.mint(second, 10)) == 0
    assert written_by(suite.send(bob, second, 10)) == 0
    assert written_by(suite.force(bob, alice, 10)) == 0
    assert held(alice) == 90


def test_receive__published_identity__stored_once(suite, alice, written_by):
    wallet = suite.person()
    assert written_by(suite.mint(wallet, 10)) > 0
    assert written_by(suite.mint(wallet, 10)) == 0
    assert written_by(suite.send(alice, wallet, 10)) == 0


def test_receive__second_wallet__counts_together(suite, max_balance, people, alice, bob, held):
    second, third = people.second_wallet(alice), people.second_wallet(alice)
    assert suite.why(max_balance, bob, second, 41) == exceeded(suite, alice, 60, 41)
    suite.send(bob, second, 30)
    suite.send(bob, third, 10)
    assert held(alice) == LIMIT
    for wallet in (alice, second, third):
        assert suite.why(max_balance, bob, wallet, 1) == exceeded(suite, alice, LIMIT, 1)
        with reverts("Transfer not possible"):
            suite.send(bob, wallet, 1)
        with reverts("Compliance not followed"):
            suite.mint(wallet, 1)


def test_transfer__between_own_wallets_at_the_limit__possible(suite, max_balance, people, alice):
    second = people.second_wallet(alice)
    suite.mint(alice, 40)
    assert suite.why(max_balance, second, alice, 0) is None, "from an empty one too"
    suite.send(alice, second, 70)
    suite.send(second, alice, 70)
    suite.send(alice, alice, 5)
    assert suite.why(max_balance, second, alice, LIMIT) is None


def test_forced_transfer__past_the_limit__counted_and_not_refused(
    suite, max_balance, alice, bob, held
):
    suite.force(bob, alice, 60)
    assert held(alice) == 120
    assert suite.why(max_balance, bob, alice, 1) == exceeded(suite, alice, 120, 1)


# Where the registry says something else than the factory


@pytest.mark.parametrize("published", [True, False])
def test_registered_under_another_identity__counts_for_that_one(
    suite, max_balance, people, alice, held, published
):
    """The token believes its registry: a wallet of Alice that it gives to Bob holds for Bob."""
    bob = suite.person() if published else people.person()
    strayed = people.link(alice, new_wallet())
    suite.register(strayed, suite.registry.identity(bob))
    suite.mint(strayed, 70)
    assert (held(alice), held(bob)) == (60, 70)
    assert suite.why(max_balance, None, bob, 31) == exceeded(suite, bob, 70, 31)
    suite.mint(alice, 40)
    assert suite.why(max_balance, strayed, alice, 1) == exceeded(suite, alice, LIMIT, 1)
    assert suite.why(max_balance, strayed, bob, 70) is None, "own units of Bob"


def test_link__of_a_wallet_that_holds_under_a_published_identity__changes_nothing(
    suite, max_balance, people, alice, bob, held
):
    """Who links a wallet of somebody else takes it out of no limit."""
    second = suite.second_wallet(bob)
    suite.mint(second, 40)
    for wallet in (bob, second):
        people.link(alice, wallet)
    assert (held(alice), held(bob)) == (60, LIMIT)
    assert suite.why(max_balance, None, bob, 1) == exceeded(suite, bob, LIMIT, 1)
    assert suite.why(max_balance, bob, alice, 41) == exceeded(suite, alice, 60, 41)


def test_link__before_the_first_receipt__known_all_the_same(
    suite, max_balance, people, alice, bob, held
):
    """Registered as Bob's, and only then linked to Alice: still another wallet of Bob."""
    second = suite.second_wallet(bob)
    people.link(alice, second)
    suite.mint(second, 40)
    assert held(bob) == LIMIT
    assert suite.why(max_balance, None, bob, 1) == exceeded(suite, bob, LIMIT, 1)


def test_update_identity__away_and_back__follows_the_registry(
    suite, max_balance, people, alice, bob, held, owner, stranger
):
    second = people.second_wallet(alice)
    suite.mint(second, 40)
    ours, theirs = suite.registry.identity(alice), suite.registry.identity(bob)
    suite.registry.updateIdentity(second, theirs, {"from": owner})
    assert held(alice) == 60
    max_balance.adopt(suite.compliance, [second], {"from": stranger})
    assert held(bob) == LIMIT
    suite.registry.updateIdentity(second, ours, {"from": owner})
    assert (held(alice), held(bob)) == (LIMIT, 60), "without adoption"
    assert suite.why(max_balance, bob, second, 1) == exceeded(suite, alice, LIMIT, 1)


def test_delete_identity__of_a_listed_wallet__still_counts(
    suite, max_balance, people, alice, bob, held, owner
):
    second = people.second_wallet(alice)
    suite.mint(second, 40)
    suite.registry.deleteIdentity(second, {"from": owner})
    assert held(alice) == LIMIT
    assert suite.why(max_balance, bob, alice, 1) == exceeded(suite, alice, LIMIT, 1)
    suite.send(second, alice, 10)
    suite.burn(second, 10)
    suite.force(second, bob, 20)
    assert held(alice) == 70


def test_retire__wallet_with_units__still_counts_and_is_recovered(
    suite, max_balance, people, alice, held, factory, operator
):
    suite.mint(alice, 40)
    factory.retire(alice, {"from": operator})
    new = people.second_wallet(alice)
    assert suite.why(max_balance, None, new, 1) == exceeded(suite, alice, LIMIT, 1)
    suite.registry.deleteIdentity(new, {"from": suite.owner})
    suite.recover(alice, new)
    assert suite.token.balanceOf(new) == held(new) == LIMIT
    assert suite.why(max_balance, None, new, 1) == exceeded(suite, new, LIMIT, 1)


# Beyond the list


@pytest.fixture
def unlisted(suite, people, factory, alice):
    """A wallet of Alice that came when her list was full."""
    for _ in range(factory.MAX_LISTED() - 1):
        people.link(alice, new_wallet())
    wallet = people.second_wallet(alice)
    assert wallet not in [factory.walletAt(people.identity(alice), i) for i in range(9)]
    return wallet


def test_receive__beyond_the_list__stored_and_counted(
    suite, max_balance, alice, bob, held, unlisted, written_by
):
    assert written_by(suite.mint(unlisted, 40)) > 0
    assert held(alice) == LIMIT
    for wallet in (alice, unlisted):
        assert suite.why(max_balance, bob, wallet, 1) == exceeded(suite, alice, LIMIT, 1)
    suite.send(alice, unlisted, 60)
    suite.send(unlisted, alice, LIMIT)


def test_full__listed_and_stored_wallets__count_together(
    suite, max_balance, people, alice, bob, held
):
    """Wallets that the registry gives to Alice and the factory does not know yet are stored."""
    identity, most = suite.registry.identity(alice), max_balance.MAX_WALLETS()
    listed = people.second_wallet(alice)
    stored = [suite.second_wallet(alice) for _ in range(most + 1)]
    for wallet in stored[: most - 1]:
        suite.mint(wallet, 1)

    def full(wallet):
        return error("MaxBalanceTooManyWallets", suite.compliance, identity, wallet)

    for wallet in (listed, stored[-1]):
        assert suite.why(max_balance, None, wallet, 1) == full(wallet)
        with reverts("Compliance not followed"):
            suite.mint(wallet, 1)
    suite.mint(alice, 1)
    suite.send(bob, stored[0], 1)
    suite.force(bob, stored[most - 1], 1)
    with reverts(full(stored[-1])):
        suite.force(bob, stored[-1], 1)
    people.link(alice, stored[3])
    assert held(alice) == 61 + most + 1, "in both lists, counted once"
    suite.force(bob, stored[-1], 1)
    assert held(alice) == 61 + most + 2, "its place was free"
    for wallet in (stored[0], stored[1], stored[2]):
        suite.burn(wallet, suite.token.balanceOf(wallet))
    assert suite.why(max_balance, None, listed, 1) is None


def test_clone__not_made_by_the_factory__its_wallets_are_stored(
    suite, max_balance, people, factory, accounts, held
):
    """Anybody can put the same code somewhere; the factory lists nothing for it."""
    code = bytes.fromhex("3d602d80600a3d3981f3363d3d373d3d3d363d73")
    code += bytes.fromhex(factory.IMPLEMENTATION()[2:])
    code += bytes.fromhex("5af43d82803e903d91602b57fd5bf3")
    made = accounts[7].transfer(data="0x" + code.hex())
    clone = made.contract_address or web3.eth.get_transaction_receipt(made.txid).contractAddress
    assert web3.keccak(web3.eth.get_code(clone)) == bytes(factory.IDENTITY_CODE_HASH())
    people.verify(clone)
    first, second = new_wallet(), new_wallet()
    for wallet in (first, second):
        suite.register(wallet, clone)
    suite.mint(first, 60)
    suite.mint(second, 40)
    assert held(first) == LIMIT
    assert suite.why(max_balance, None, first, 1) == exceeded(suite, first, LIMIT, 1)


# Bound to a token with holders


def test_adopt__listed_holders__needed_all_the_same(
    platform, agent, max_balance, factory, operator, stranger, written_by
):
    suite = platform.suite(agent)
    people = OwnPeople(suite, factory, operator)
    first = people.person()
    wallets = [first, people.second_wallet(first), people.person()]
    for wallet in wallets:
        suite.mint(wallet, 50)
    suite.open()
    suite.add(max_balance)
    suite.set(max_balance.setMaxBalance, LIMIT)
    max_balance.adopt(suite.compliance, wallets[:2], {"from": stranger})
    missing = error("HoldersNotAdopted", suite.compliance, 50)
    assert suite.why(max_balance, wallets[2], first, 1) == missing
    with reverts(missing):
        suite.force(first, wallets[2], 1)
    max_balance.adopt(suite.compliance, wallets, {"from": stranger})
    assert max_balance.missingUnits(suite.compliance) == 0
    assert suite.why(max_balance, wallets[2], first, 1) == exceeded(suite, first, LIMIT, 1)
    suite.send(first, wallets[2], 50)


def test_remove_and_add_module__stored_before__void(suite, max_balance, people, alice, bob, owner):
    suite.remove(max_balance)
    suite.add(max_balance)
    suite.set(max_balance.setMaxBalance, LIMIT)
    identity = suite.registry.identity(bob)
    assert max_balance.heldBy(suite.compliance, identity) == 0
    max_balance.adopt(suite.compliance, [alice, bob], {"from": owner})
    assert max_balance.heldBy(suite.compliance, identity) == 60
    assert suite.why(max_balance, None, bob, 41) == exceeded(suite, bob, 60, 41)


def test_factory__of_the_module__and_nobody_else(max_balance, factory):
    assert max_balance.FACTORY() == factory
    assert tuple(factory.listOf(ZERO_ADDRESS)) == (ZERO_ADDRESS, 0)

"""Identities, and whose wallet is whose."""

import pytest
from brownie import ZERO_ADDRESS, reverts, web3
from eth_abi import encode
from eth_utils import keccak
from hypothesis import settings
from hypothesis import strategies as st

# Not brownie's, which takes the chain back before each example: the model goes on.
from hypothesis.core import given

ALICE, BOB = keccak(text="alice"), keccak(text="bob")


def key_of(wallet):
    return keccak(encode(["address"], [str(wallet)]))


@pytest.fixture
def alice(factory, operator, accounts):
    """The identity of Alice, who has one wallet."""
    factory.open(ALICE, accounts[1], {"from": operator})
    return factory.identityOf(ALICE)


def test_open__new_person__clone_at_the_foretold_address(factory, operator, accounts):
    foretold = factory.identityOf(ALICE)
    assert web3.eth.get_code(foretold) == b""
    transaction = factory.open(ALICE, accounts[1], {"from": operator})
    assert transaction.return_value == foretold
    assert dict(transaction.events["IdentityOpened"][0]) == {
        "identity": foretold,
        "salt": "0x" + ALICE.hex(),
    }
    assert dict(transaction.events["WalletLinked"][0]) == {
        "wallet": accounts[1],
        "identity": foretold,
    }
    implementation = bytes.fromhex(factory.IMPLEMENTATION()[2:])
    code = bytes.fromhex("363d3d373d3d3d363d73") + implementation
    code += bytes.fromhex("5af43d82803e903d91602b57fd5bf3")
    assert web3.eth.get_code(foretold) == code, "ERC-1167"
    assert bytes(factory.IDENTITY_CODE_HASH()) == keccak(code)
    assert tuple(factory.linkOf(accounts[1])) == (foretold, False)
    assert factory.identityOfKey(key_of(accounts[1])) == foretold
    assert bytes(factory.keyOf(accounts[1])) == key_of(accounts[1])


def test_open__again__nothing_changes_and_no_event(factory, operator, alice, accounts):
    transaction = factory.open(ALICE, accounts[1], {"from": operator})
    assert transaction.return_value == alice
    assert len(transaction.logs) == 0


def test_open__second_wallet__same_identity(factory, operator, alice, accounts):
    transaction = factory.open(ALICE, accounts[2], {"from": operator})
    assert "IdentityOpened" not in transaction.events
    assert factory.identityOfKey(key_of(accounts[2])) == alice
    assert factory.identityOfKey(key_of(accounts[1])) == alice


def test_open__wallet_of_another__refused(factory, operator, alice, accounts):
    with reverts(f"IdentityFactoryWalletTaken: {accounts[1].address.lower()}, {alice.lower()}"):
        factory.open(BOB, accounts[1], {"from": operator})
    assert web3.eth.get_code(factory.identityOf(BOB)) == b""


def test_open__no_wallet__refused(factory, operator):
    with reverts(f"IdentityFactoryInvalidWallet: {ZERO_ADDRESS}"):
        factory.open(ALICE, ZERO_ADDRESS, {"from": operator})


@pytest.mark.parametrize("who", ["owner", "stranger"])
def test_open__by_other_than_operator__refused(factory, request, accounts, who):
    account = request.getfixturevalue(who)
    for call in (
        lambda: factory.open(ALICE, accounts[1], {"from": account}),
        lambda: factory.openBatch([(ALICE, accounts[1])], {"from": account}),
    ):
        with reverts(f"OperatedUnauthorizedOperator: {account.address.lower()}"):
            call()


def test_open_batch__people_and_wallets__each_where_foretold(factory, operator, accounts):
    openings = [(ALICE, accounts[1]), (BOB, accounts[2]), (ALICE, accounts[3])]
    transaction = factory.openBatch(openings, {"from": operator})
    assert len(transaction.events["IdentityOpened"]) == 2
    assert len(transaction.events["WalletLinked"]) == 3
    foretold = [factory.identityOf(salt) for salt, _ in openings]
    assert list(transaction.return_value) == foretold
    for (_, wallet), identity in zip(openings, foretold, strict=True):
        assert tuple(factory.linkOf(wallet)) == (identity, False)


def test_open_batch__one_taken__nothing_happens(factory, operator, alice, accounts):
    with reverts(f"IdentityFactoryWalletTaken: {accounts[1].address.lower()}, {alice.lower()}"):
        factory.openBatch([(BOB, accounts[2]), (BOB, accounts[1])], {"from": operator})
    assert factory.linkOf(accounts[2])[0] == ZERO_ADDRESS


def test_open_batch__nobody__nothing(factory, operator):
    assert len(factory.openBatch([], {"from": operator}).logs) == 0


@pytest.mark.parametrize("who", ["owner", "operator"])
def test_retire__by_owner_or_operator__no_key_and_never_anothers(
    factory, operator, alice, accounts, request, who
):
    wallet = accounts[1]
    transaction = factory.retire(wallet, {"from": request.getfixturevalue(who)})
    assert dict(transaction.events["WalletRetired"][0]) == {"wallet": wallet, "identity": alice}
    assert tuple(factory.linkOf(wallet)) == (alice, True)
    assert factory.identityOfKey(key_of(wallet)) == ZERO_ADDRESS
    with reverts(f"IdentityFactoryWalletTaken: {wallet.address.lower()}, {alice.lower()}"):
        factory.open(BOB, wallet, {"from": operator})
    with reverts(f"IdentityFactoryWalletRetired: {wallet.address.lower()}, {alice.lower()}"):
        factory.open(ALICE, wallet, {"from": operator})


def test_retire__twice__refused(factory, operator, alice, accounts):
    factory.retire(accounts[1], {"from": operator})
    with reverts(f"IdentityFactoryWalletRetired: {accounts[1].address.lower()}, {alice.lower()}"):
        factory.retire(accounts[1], {"from": operator})


def test_retire__unknown__refused(factory, operator, stranger):
    with reverts(f"IdentityFactoryWalletUnknown: {stranger.address.lower()}"):
        factory.retire(stranger, {"from": operator})


def test_retire__by_holder__refused(factory, alice, accounts):
    with reverts(f"OperatedUnauthorizedOperator: {accounts[1].address.lower()}"):
        factory.retire(accounts[1], {"from": accounts[1]})


def test_restore__by_owner__a_key_again(factory, owner, operator, alice, accounts):
    factory.retire(accounts[1], {"from": operator})
    transaction = factory.restore(accounts[1], {"from": owner})
    assert dict(transaction.events["WalletRestored"][0]) == {
        "wallet": accounts[1],
        "identity": alice,
    }
    assert factory.identityOfKey(key_of(accounts[1])) == alice


def test_restore__by_operator__refused(factory, operator, alice, accounts):
    factory.retire(accounts[1], {"from": operator})
    with reverts(f"OwnableUnauthorizedAccount: {operator.address.lower()}"):
        factory.restore(accounts[1], {"from": operator})


def test_restore__not_retired_or_unknown__refused(factory, owner, alice, accounts, stranger):
    with reverts(
        f"IdentityFactoryWalletNotRetired: {accounts[1].address.lower()}, {alice.lower()}"
    ):
        factory.restore(accounts[1], {"from": owner})
    with reverts(f"IdentityFactoryWalletUnknown: {stranger.address.lower()}"):
        factory.restore(stranger, {"from": owner})


# The list of an identity's first wallets


def listed(factory, identity):
    """The list, read as a module reads it."""
    first, count = factory.listOf(identity)
    wallets = [factory.walletAt(identity, index) for index in range(count)]
    assert wallets[:1] == ([first] if count else [])
    assert factory.walletAt(identity, count) == ZERO_ADDRESS
    return wallets


def test_list__nobody__empty(factory, accounts):
    assert tuple(factory.listOf(accounts[1])) == (ZERO_ADDRESS, 0)
    assert listed(factory, factory.identityOf(ALICE)) == []


def test_list__wallets_of_two__each_in_order_of_linking(factory, operator, alice, accounts):
    openings = [(BOB, accounts[2]), (ALICE, accounts[3]), (ALICE, accounts[1])]
    factory.openBatch(openings, {"from": operator})
    assert listed(factory, alice) == [accounts[1], accounts[3]], "one of them opened twice"
    assert listed(factory, factory.identityOf(BOB)) == [accounts[2]]


def test_list__retired_and_restored__stays(factory, owner, operator, alice, accounts):
    factory.open(ALICE, accounts[2], {"from": operator})
    factory.retire(accounts[1], {"from": operator})
    assert listed(factory, alice) == [accounts[1], accounts[2]]
    factory.restore(accounts[1], {"from": owner})
    assert listed(factory, alice) == [accounts[1], accounts[2]]


def test_list__refused_opening__nothing_listed(factory, operator, alice, accounts):
    with reverts():
        factory.open(BOB, accounts[1], {"from": operator})
    assert listed(factory, factory.identityOf(BOB)) == []


def test_list__full__the_next_is_linked_all_the_same(factory, operator, alice, accounts):
    """Whoever fills somebody's list does not shut them out."""
    most = factory.MAX_LISTED()
    wallets = [f"0x{number:040x}" for number in range(1, most + 2)]
    factory.openBatch([(ALICE, wallet) for wallet in wallets], {"from": operator})
    assert listed(factory, alice) == [accounts[1], *wallets[: most - 1]]
    for wallet in wallets:
        assert tuple(factory.linkOf(wallet)) == (alice, False)
        assert factory.identityOfKey(key_of(wallet)) == alice


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "open", "retire", "restore"]),
        st.sampled_from([ALICE, BOB]),
        st.integers(1, 4),
    ),
    max_size=8,
)


@settings(max_examples=25)
@given(steps=STEPS)
def test_factory__any_sequence__a_wallet_has_one_identity_for_ever(
    factory, owner, operator, accounts, steps
):
    """Held against a model that goes on from example to example."""
    for act, salt, number in steps:
        wallet = accounts[number]
        identity, retired = tuple(factory.linkOf(wallet))
        known = identity != ZERO_ADDRESS
        foretold = factory.identityOf(salt)
        allowed = {
            "open": not known or (identity == foretold and not retired),
            "retire": known and not retired,
            "restore": known and retired,
        }[act]
        call = {
            "open": lambda: factory.open(salt, wallet, {"from": operator}),
            "retire": lambda: factory.retire(wallet, {"from": operator}),
            "restore": lambda: factory.restore(wallet, {"from": owner}),
        }[act]
        if not allowed:
            with reverts():
                call()
            assert tuple(factory.linkOf(wallet)) == (identity, retired)
            continue
        call()
        expected = identity if known else foretold
        assert tuple(factory.linkOf(wallet)) == (expected, act == "retire")
        key = factory.identityOfKey(key_of(wallet))
        assert key == (ZERO_ADDRESS if act == "retire" else expected)

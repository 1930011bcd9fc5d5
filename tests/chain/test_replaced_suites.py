"""A token that gets another registry, storage or compliance (T-REX 4.1.6 lets its owner)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from eth_utils.crypto import keccak

from chain.contracts.abi import contract
from chain.node.client import hex_of
from chain.sync.indexer import Indexer
from registry.captable import service as captable
from registry.captable.branches import known_block_at
from registry.captable.registered import registered_at
from registry.kernel.errors import Conflict
from tests.chain.nodes import CHAIN_ID
from tests.chain.outcomes import everything
from tests.chain.suite import ADDRESSES, COUNTRIES, REGISTERED, Suite, cursor_of
from tests.chain.test_adoption import adopt, forget, read_all
from tests.chain.test_control import changes, on_chain
from tests.chain.test_reconciler import newest, reconcile
from tests.chain.test_repair import milkiyat
from tests.chain.world import GAS_OF_SUITE

pytestmark = pytest.mark.chain

NEWCOMER, LATE = REGISTERED, REGISTERED + 1


def now_of(suite: Suite) -> Suite:
    """Give a suite as it is, with the registry that it has now."""
    return Suite(suite.world, suite.agent, "first")


def with_others(suite: Suite) -> Suite:
    """Deploy a suite in which some of the same people are registered, otherwise, and a newcomer."""
    other = suite.deploy("second")
    for person in (0, 1, NEWCOMER):
        other.register(person, 826)
    other.agent.call("IdentityRegistry", other.registry, "deleteIdentity", ADDRESSES[0])
    changed = (ADDRESSES[1], other.identity(NEWCOMER))
    other.agent.call("IdentityRegistry", other.registry, "updateIdentity", *changed)
    return other


def replace_registry(suite: Suite, other: Suite) -> None:
    suite.do("setIdentityRegistry", other.registry)


def replace_storage(suite: Suite, other: Suite) -> None:
    storage = on_chain(suite, "IdentityRegistry", other.registry, "identityStorage")
    suite.agent.call("IdentityRegistry", suite.registry, "setIdentityRegistryStorage", storage)


Replace = Callable[[Suite, Suite], None]
REPLACED = pytest.mark.parametrize(
    "replaced", [replace_registry, replace_storage], ids=["registry", "storage"]
)


def assert_proven(suite: Suite) -> None:
    suite.assert_exact()
    reconcile(suite)
    assert newest(suite).differences == []
    assert cursor_of(suite.world.database).degraded is None
    found = milkiyat(suite, "reconcile", hex_of(suite.token), "--logs")
    assert found.exit_code == 0, found.output


@REPLACED
@pytest.mark.parametrize("at_once", [True, False], ids=["in one range", "block by block"])
def test_replaced__registry_or_storage__wallets_are_those_of_the_new_one(
    suite: Suite, replaced: Replace, at_once: bool
) -> None:
    other = with_others(suite)
    suite.mint(0, 100)
    suite.index()
    indexer = Indexer(suite.world.database, suite.world.client)
    steps: list[Callable[[], object]] = [
        lambda: suite.register(LATE, 4),
        lambda: replaced(suite, other),
        lambda: suite.move(0, 1, 10),
        lambda: other.register(LATE, 276),
        lambda: other.agent.call(
            "IdentityRegistry", other.registry, "updateCountry", ADDRESSES[1], 8
        ),
    ]
    for step in steps:
        step()
        if not at_once:
            suite.index(indexer)
            read_all(suite)
    suite.index(indexer)
    read_all(suite)

    assert_proven(now_of(suite))
    assert_proven(other)


@REPLACED
def test_replaced__another_changed_since__who_changed_before_is_as_then(
    suite: Suite, replaced: Replace
) -> None:
    other = with_others(suite)
    suite.index()
    replaced(suite, other)
    other.agent.call("IdentityRegistry", other.registry, "updateCountry", ADDRESSES[1], 8)
    then = suite.world.client.head().number
    other.register(LATE, 276)
    suite.index()
    read_all(suite)

    with suite.world.database.reading() as session:
        token = captable.get_token(session, suite.token)
        block = captable.block_at(session, CHAIN_ID, then)
        found = registered_at(session, token, block, ADDRESSES)
    assert found[ADDRESSES[1]].country == 8
    assert ADDRESSES[LATE] not in found


@REPLACED
def test_replaced__and_taken_back__is_as_it_was(suite: Suite, replaced: Replace) -> None:
    other = with_others(suite)
    suite.index()
    before = everything(suite.world.database)
    replaced(suite, other)
    other.register(LATE, 276)
    suite.index()
    read_all(suite)
    now_of(suite).assert_exact()

    suite.world.node.roll_back(2)
    suite.index()
    assert everything(suite.world.database) == before
    suite.register(LATE, 586)
    suite.index()

    assert_proven(now_of(suite))


@REPLACED
def test_replaced__before_it_was_adopted__is_read_as_it_happened(
    suite: Suite, replaced: Replace
) -> None:
    other = with_others(suite)
    suite.mint(0, 100)
    moment = suite.world.client.head().number
    replaced(suite, other)
    other.register(LATE, 276)
    suite.move(0, 1, 10)
    forget(suite)

    adopt(suite)
    read_all(suite)

    now = now_of(suite)
    assert_proven(now)
    with suite.world.database.reading() as session:
        token = captable.get_token(session, suite.token)
        block = known_block_at(session, CHAIN_ID, moment, None)
        then = registered_at(session, token, block, ADDRESSES)
    assert {address: found.country for address, found in then.items()} == dict(
        zip(ADDRESSES, COUNTRIES, strict=False)
    )


@REPLACED
def test_repair__across_a_replacement__reads_it_again(suite: Suite, replaced: Replace) -> None:
    other = with_others(suite)
    suite.mint(0, 100)
    number = suite.world.client.head().number
    replaced(suite, other)
    suite.move(0, 1, 10)
    suite.index()
    read_all(suite)
    right = everything(suite.world.database)
    with suite.world.database.engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE token_event SET units = units + 1 WHERE kind = 1 AND block_number = {number}"
        )

    repaired = milkiyat(suite, "reconcile", hex_of(suite.token), "--repair")

    assert repaired.exit_code == 0, repaired.output
    assert everything(suite.world.database) == right
    assert_proven(now_of(suite))


def emits(event: str, *topics: bytes) -> str:
    """Give code that emits an event without data."""
    words = [keccak(text=event), *(each.rjust(32, b"\0") for each in topics)]
    pushed = "".join(f"7f{word.hex()}" for word in reversed(words))
    return f"0x{pushed}60006000a{len(words):x}00"


def test_replaced__by_a_contract_that_logs_nonsense__stops_that_token_alone(suite: Suite) -> None:
    other = suite.deploy("second")
    other.register(0, 40)
    suite.index()
    node, nonsense = suite.world.node, b"\x77" * 20
    node.rpc("anvil_setCode", hex_of(nonsense), emits("IdentityRegistered(address,address)"))
    node.act_as(b"\x99" * 20, nonsense, b"")
    code = emits("IdentityRegistryAdded(address)", nonsense)
    node.rpc("anvil_setCode", hex_of(suite.token), code)
    node.act_as(b"\x99" * 20, suite.token, b"")
    other.mint(0, 55)

    suite.index()
    read_all(suite)

    other.assert_exact()
    with (
        suite.world.database.reading() as session,
        pytest.raises(Conflict, match="new suite"),
    ):
        captable.get_token(session, suite.token)


def modules_of(suite: Suite, *, since: int) -> list[tuple[str, str | None]]:
    return [
        (row.event, row.said.get("module") or row.said.get("modules"))
        for row in changes(suite)
        if row.block_number > since and row.event in {"ModuleAdded", "ComplianceAdded"}
    ]


def test_replaced__compliance__is_followed_with_the_modules_that_it_has(suite: Suite) -> None:
    call, world = suite.agent.call, suite.world
    code = contract("ModularCompliance").bytecode
    fresh = world.node.mined(suite.agent.send(b"", code, gas=GAS_OF_SUITE)).contract_address
    assert fresh is not None
    old = on_chain(suite, "Token", suite.token, "compliance")
    call("ModularCompliance", fresh, "init")
    first, second = map(world.place, ("TransferWindowModule", "HolderCapModule"))
    call("ModularCompliance", fresh, "addModule", first)
    suite.index()
    start = cursor_of(world.database).number
    suite.do("setCompliance", fresh)
    call("ModularCompliance", fresh, "addModule", second)
    call("ModularCompliance", old, "addModule", first)
    suite.index()
    read_all(suite)

    assert modules_of(suite, since=start) == [
        ("ComplianceAdded", hex_of(first)),
        ("ModuleAdded", hex_of(second)),
    ]
    assert_proven(suite)
    with world.database.reading() as session:
        assert captable.get_token(session, suite.token).compliance == fresh

    world.node.roll_back(3)
    suite.index()
    assert modules_of(suite, since=start) == []
    with world.database.reading() as session:
        assert captable.get_token(session, suite.token).compliance == old

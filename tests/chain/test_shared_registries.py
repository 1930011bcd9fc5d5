"""Adopted tokens that share a registry or its storage with others: T-REX 4.1.6 lets them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from eth_utils.address import to_checksum_address
from sqlmodel import col, select

from chain.node.client import hex_of
from chain.proving.repair import Repair
from chain.sync.indexer import Indexer
from registry.captable.degraded import degrade
from registry.captable.models import Token
from registry.journal.models import JournalEntry
from registry.kernel.actor import Role
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import ADDRESSES, REGISTERED, Suite, cursor_of
from tests.chain.test_adoption import adopt, forget, read_all
from tests.chain.test_eligibility_api import house_of
from tests.chain.test_reconciler import newest, reconcile, run
from tests.chain.test_repair import milkiyat

pytestmark = pytest.mark.chain

NEWCOMER = REGISTERED


def with_storage_of(suite: Suite) -> Suite:
    """Deploy a token whose registry has the storage of another."""
    storage = suite._ask("IdentityRegistry", suite.registry, "identityStorage")
    return suite.deploy("second", storage=hex_of(storage))


def with_registry_of(suite: Suite) -> Suite:
    """Deploy a token that has the registry of another."""
    other = suite.deploy("second")
    other.do("setIdentityRegistry", suite.registry)
    return Suite(suite.world, suite.agent, "second")


def live(suite: Suite, other: Suite) -> None:
    """Register, change and remove people by way of one registry, and let another's token move."""
    suite.register(NEWCOMER, 826)
    registry = suite.registry
    call = suite.agent.call
    call("IdentityRegistry", registry, "updateCountry", ADDRESSES[1], 4)
    call("IdentityRegistry", registry, "updateIdentity", ADDRESSES[2], suite.identity(NEWCOMER))
    call("IdentityRegistry", registry, "deleteIdentity", ADDRESSES[3])
    for person in (0, NEWCOMER):
        other.mint(person, 100)


def adopted_all(*suites: Suite) -> None:
    forget(suites[0])
    for suite in suites:
        adopt(suite)
    read_all(suites[0])


@pytest.mark.parametrize("share", [with_storage_of, with_registry_of], ids=["storage", "registry"])
def test_adopt__one_of_two_that_share__is_proven_whichever_registry_was_called(
    suite: Suite, share: Callable[[Suite], Suite]
) -> None:
    other = share(suite)
    live(suite, other)
    suite.register(NEWCOMER + 1, 784)
    adopted_all(other)
    other.assert_exact()

    suite.agent.call("IdentityRegistry", suite.registry, "updateCountry", ADDRESSES[0], 276)
    suite.register(3, 586)
    suite.index()

    other.assert_exact()
    assert reconcile(other)
    assert newest(other).differences == []
    assert cursor_of(suite.world.database).degraded is None


@pytest.mark.parametrize("share", [with_storage_of, with_registry_of], ids=["storage", "registry"])
def test_adopt__both_that_share__each_is_told_everything(
    suite: Suite, share: Callable[[Suite], Suite]
) -> None:
    other = share(suite)
    adopted_all(suite, other)

    live(suite, other)
    suite.index()

    for each in (suite, other):
        each.assert_exact()
        reconcile(each)
        assert newest(each).differences == []
        found = milkiyat(each, "reconcile", hex_of(each.token), "--logs")
        assert found.exit_code == 0, found.output


def test_rewind__of_wallets_that_a_storage_told__is_exact(suite: Suite) -> None:
    other = with_storage_of(suite)
    adopted_all(other)
    live(suite, other)
    suite.index()
    suite.world.node.roll_back(5)
    suite.register(NEWCOMER + 1, 784)
    suite.index()

    other.assert_exact()


@pytest.mark.parametrize("share", [with_storage_of, with_registry_of], ids=["storage", "registry"])
@pytest.mark.parametrize("lost", [0, 1])
def test_reorg__moved_one_of_two_that_share__new_branch_comes_in_the_same_turn(
    suite: Suite, share: Callable[[Suite], Suite], lost: int
) -> None:
    both = (suite, share(suite))
    adopted_all(*both)
    # Written by one range: whichever of their rows lies first, taking one back puts it last.
    both[1 - lost].mint(0, 5)
    both[lost].mint(0, 5)
    suite.index()
    with suite.world.database.engine.begin() as connection:
        # As autovacuum does before long: of so few rows no index is asked.
        connection.exec_driver_sql("ANALYZE token")
    suite.world.node.roll_back(1)
    both[lost].mint(1, 7)
    head = suite.world.node.mine(2)

    assert Indexer(suite.world.database, suite.world.client).advance()

    cursor = cursor_of(suite.world.database)
    assert (cursor.number, cursor.hash) == (head.number, head.hash)
    for each in both:
        each.assert_exact()


def token_of(suite: Suite) -> Token:
    with suite.world.database.reading() as session:
        return session.exec(select(Token).where(col(Token.address) == suite.token)).one()


WAS = """
UPDATE token_event e SET extra = extra || jsonb_build_object('was', jsonb_build_object(
  'identity_registry', encode(t.identity_registry, 'hex'), 'identity_storage', NULL,
  'compliance', encode(t.compliance, 'hex')))
FROM token t WHERE t.token_no = e.token_no AND extra->>'event' = 'ComplianceAdded'
"""


@pytest.mark.parametrize("has_changed", [False, True], ids=["as it was", "suite changed since"])
def test_repair__of_a_token_adopted_before_storages_were_followed__mends_it(
    suite: Suite, has_changed: bool
) -> None:
    other = with_storage_of(suite)
    adopted_all(other)
    # As it was read then.
    with other.world.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE token SET identity_storage = NULL, block_number = (SELECT min(block_number)"
            " FROM token_event WHERE extra->>'event' = 'IdentityStorageSet')"
        )
        connection.exec_driver_sql("DELETE FROM token_event WHERE kind IN (8, 9, 10, 11)")
        connection.exec_driver_sql("DELETE FROM registered_wallet")
        if has_changed:
            assert connection.exec_driver_sql(WAS).rowcount >= 1
    live(suite, other)
    suite.index()
    assert milkiyat(other, "reconcile", hex_of(other.token)).exit_code == 1
    number = token_of(other).token_no
    assert number is not None
    Repair(suite.world.database, suite.world.client, number, lambda _: None).read_again(None)
    assert token_of(other).identity_storage is not None

    repaired = milkiyat(other, "reconcile", hex_of(other.token), "--repair")

    assert repaired.exit_code == 0, repaired.output
    other.assert_exact()


# What differs of an adopted token


def test_adopted_token_that_differs__stops_nothing_but_itself(suite: Suite, tmp_path: Path) -> None:
    stranger = suite.deploy("second")
    stranger.register(0, 586)
    adopted_all(stranger)
    database = suite.world.database
    run(database, "UPDATE registered_wallet SET country = 4")

    assert reconcile(stranger)

    assert [item["what"] for item in newest(stranger).differences] == ["country"]
    assert cursor_of(database).degraded is None
    with database.reading() as session:
        said = session.exec(
            select(JournalEntry).where(col(JournalEntry.act) == "adopted_token_differs")
        ).all()
    assert [entry.subject_id for entry in said] == [hex_of(stranger.token)]
    with house_of(suite.world, tmp_path / "api") as house:
        ready = house.client.get("/readyz").json()
        assert not [reason for reason in ready["reasons"] if "differs" in reason]
        assert [text for text in ready["warnings"] if "differs" in text] == [
            f"chain {CHAIN_ID}: the cap table of {hex_of(stranger.token)} differs from the chain"
        ]
        path = f"/v1/tokens/{to_checksum_address(stranger.token)}/cap_table"
        answer = house.caller(Role.REGULATOR).get(path)
        assert "differs from the chain" in answer.json()["as_of_block"]["degraded"]


def test_lift__while_an_adopted_token_differs_or_is_read__does_not_wait_for_it(
    suite: Suite,
) -> None:
    stranger, late = suite.deploy("second"), suite.deploy("third")
    stranger.register(0, 586)
    adopted_all(stranger)
    database = suite.world.database
    run(database, "UPDATE registered_wallet SET country = 4")
    assert reconcile(stranger)
    adopt(late)
    with database.transaction() as session:
        degrade(session, CHAIN_ID, "somebody said so")
    assert cursor_of(database).degraded is not None

    reconcile(stranger)

    assert newest(stranger).differences
    assert cursor_of(database).degraded is None

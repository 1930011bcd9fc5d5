"""What the chain's events become in the cap table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session

from chain.node.client import Block, ChainClient, hex_of
from chain.sync.indexer import Indexer
from chain.sync.pace import Steps
from chain.sync.ranges import RangeReader
from chain.sync.watched import read_watched
from registry.captable import entries, projection
from registry.captable import service as captable
from registry.captable.blocks import AsOfBlock
from registry.captable.models import Holder, Token
from registry.captable.page import HeldUnits, list_held
from registry.captable.stream import stream_holders
from registry.captable.supply import supply_at
from tests.chain.nodes import CHAIN_ID
from tests.chain.outcomes import everything
from tests.chain.stage import Stage
from tests.chain.suite import ADDRESSES, Suite, catch_up, count, cursor_of, shuffle

pytestmark = pytest.mark.chain

LIFE_OF_A_TOKEN = 20
GREATEST_SUPPLY = 2**256 - 1


class ShortSighted(ChainClient):
    """A node whose newest block is `height`, as all the nodes behind it once were."""

    height = 0

    def head(self) -> Block:
        block = self.block(self.height)
        assert block is not None
        return block


def live(suite: Suite) -> None:
    """Let everything happen to a token that can."""
    for number in range(5):
        suite.mint(number, 10_000)
    suite.do("unpause")
    shuffle(suite, seed=1, blocks=3)
    suite.do("freezePartialTokens", ADDRESSES[0], 9_500)
    suite.do("setAddressFrozen", ADDRESSES[1], True)
    suite.agent.call("IdentityRegistry", suite.registry, "updateCountry", ADDRESSES[2], 276)
    suite.move(0, 3, 9_000)
    recover(suite, lost=0, new=6)
    suite.do("pause")
    suite.do("burn", ADDRESSES[1], 5_000)
    suite.register(7, 392)
    suite.agent.call("IdentityRegistry", suite.registry, "deleteIdentity", ADDRESSES[7])


def recover(suite: Suite, *, lost: int, new: int) -> None:
    """Move everything of a lost wallet to another that its identity knows."""
    identity = suite.identity(lost)
    key = keccak(encode(["address"], [hex_of(ADDRESSES[new])]))
    suite.person(lost).call("Identity", identity, "addKey", key, 1, 1)
    suite.do("recoveryAddress", ADDRESSES[lost], ADDRESSES[new], identity)


def test_index__mints_transfers_and_burns__equal_the_chain(suite: Suite) -> None:
    for number in range(3):
        suite.mint(number, 1_000)
    suite.move(0, 1, 250)
    suite.move(1, 1, 100)
    suite.do("burn", ADDRESSES[2], 400)

    suite.index()

    suite.assert_exact()
    assert suite.projected().supply == 2_600


def test_index__holders_transfer_themselves__equal_the_chain(suite: Suite) -> None:
    suite.mint(0, 100)
    suite.do("unpause")
    suite.person(0).call("Token", suite.token, "transfer", ADDRESSES[1], 30)
    suite.person(1).call("Token", suite.token, "transfer", ADDRESSES[1], 10)
    suite.person(0).call("Token", suite.token, "approve", ADDRESSES[4], 5)
    suite.person(4).call("Token", suite.token, "transferFrom", ADDRESSES[0], ADDRESSES[2], 5)

    suite.index()

    suite.assert_exact()
    assert suite.projected().holders == {
        ADDRESSES[0]: (65, 0),
        ADDRESSES[1]: (30, 0),
        ADDRESSES[2]: (5, 0),
    }


def test_index__greatest_supply__loses_no_digit(suite: Suite) -> None:
    suite.mint(0, GREATEST_SUPPLY)
    suite.move(0, 1, GREATEST_SUPPLY - 1)

    suite.index()

    suite.assert_exact()
    assert suite.projected().holders[ADDRESSES[1]] == (GREATEST_SUPPLY - 1, 0)


def test_index__partial_freezes__follow_what_burns_and_transfers_unfreeze(suite: Suite) -> None:
    suite.mint(0, 1_000)
    suite.do("freezePartialTokens", ADDRESSES[0], 900)
    suite.do("unfreezePartialTokens", ADDRESSES[0], 100)
    suite.move(0, 1, 300)
    suite.do("burn", ADDRESSES[0], 100)

    suite.index()

    suite.assert_exact()
    assert suite.projected().holders[ADDRESSES[0]] == (600, 600)


def test_index__frozen_addresses__equal_the_chain(suite: Suite) -> None:
    for number in (0, 1, 0):
        suite.do("setAddressFrozen", ADDRESSES[number], True)
    suite.do("setAddressFrozen", ADDRESSES[1], False)

    suite.index()

    suite.assert_exact()
    assert suite.projected().frozen == {ADDRESSES[0]}


def test_index__registrations__know_the_country_that_no_log_names(suite: Suite) -> None:
    suite.register(5, 76)
    suite.agent.call("IdentityRegistry", suite.registry, "updateCountry", ADDRESSES[5], 32)
    suite.agent.call("IdentityRegistry", suite.registry, "deleteIdentity", ADDRESSES[1])
    other = suite.identity(7)
    suite.agent.call("IdentityRegistry", suite.registry, "updateIdentity", ADDRESSES[2], other)

    suite.index()

    suite.assert_exact()
    registered = suite.projected().registered
    assert registered[ADDRESSES[0]] == (suite.identity(0), 586)
    assert registered[ADDRESSES[5]] == (suite.identity(5), 32)
    assert registered[ADDRESSES[2]] == (other, 826)
    assert ADDRESSES[1] not in registered


def test_index__country_changed_since__is_read_at_the_block_of_the_registration(
    suite: Suite, suite_stage: Stage
) -> None:
    suite.register(5, 76)
    registered_at = suite.world.client.head()
    suite.agent.call("IdentityRegistry", suite.registry, "updateCountry", ADDRESSES[5], 32)

    client = ShortSighted(suite.world.node.url, CHAIN_ID)
    client.height = registered_at.number
    suite.index(Indexer(suite.world.database, client))

    assert suite.projected().registered[ADDRESSES[5]] == (suite.identity(5), 76)


def test_index__pauses__equal_the_chain(suite: Suite) -> None:
    for function, paused in (("unpause", False), ("pause", True), ("unpause", False)):
        suite.do(function)
        suite.index()
        suite.assert_exact()
        assert suite.projected().paused is paused


def test_index__recovery__moves_balance_freezes_and_registration(suite: Suite) -> None:
    suite.mint(0, 1_000)
    suite.do("freezePartialTokens", ADDRESSES[0], 400)
    suite.do("setAddressFrozen", ADDRESSES[0], True)
    recover(suite, lost=0, new=6)

    suite.index()

    suite.assert_exact()
    seen = suite.projected()
    assert seen.holders == {ADDRESSES[6]: (1_000, 400)}
    assert seen.registered[ADDRESSES[6]] == (suite.identity(0), 586)
    assert ADDRESSES[0] not in seen.registered


def test_index__two_tokens__are_kept_apart(suite: Suite) -> None:
    other = suite.deploy("second")
    other.register(0, 40)
    for token, units in ((suite, 100), (other, 7), (suite, 20), (other, 1)):
        token.mint(0, units)

    suite.index()

    suite.assert_exact()
    other.assert_exact()
    assert [token.projected().supply for token in (suite, other)] == [120, 8]


def test_index__deployed_registered_and_minted_in_one_range__nothing_is_missed(
    suite: Suite,
) -> None:
    suite.index()
    other = suite.deploy("second")
    other.register(3, 40)
    other.mint(3, 55)
    suite.mint(3, 1)

    indexer = Indexer(suite.world.database, suite.world.client)
    assert indexer.advance()
    assert not indexer.advance()

    other.assert_exact()
    suite.assert_exact()
    assert other.projected().holders == {ADDRESSES[3]: (55, 0)}


def test_index__deployed_registered_and_minted_in_one_block__nothing_is_missed(
    suite: Suite,
) -> None:
    suite.index()
    other = suite.deploy("second", mine=False)
    other.send_registration(3, 40)
    other.send("mint", ADDRESSES[3], 55)
    suite.world.node.mine()

    suite.index()

    other.assert_exact()
    assert other.projected().holders == {ADDRESSES[3]: (55, 0)}


def pages(session: Session, token: Token, block: AsOfBlock) -> Iterator[HeldUnits]:
    """Give the cap table as somebody reads it who asks for two rows at a time."""
    after: bytes | None = None
    while page := list_held(session, token, block, after=after, limit=2):
        yield from page
        after = page[-1].address


def test_index__whole_life__equals_the_chain_at_every_block(suite: Suite) -> None:
    first = suite.world.client.head().number
    live(suite)
    suite.index()
    suite.assert_exact()

    with suite.world.database.reading() as session:
        token = captable.get_token(session, suite.token)
        for number in range(first, suite.world.client.head().number + 1):
            block = captable.block_at(session, CHAIN_ID, number)
            listed = entries.list_holders(session, token, block)
            there = suite.on_chain(number)
            assert supply_at(session, token, block) == there.supply
            assert {
                entry.address: (entry.balance_units, entry.frozen_units) for entry in listed
            } == {address: held for address, held in there.holders.items() if held[0]}
            held_there = {address: held for address, held in there.holders.items() if held[0]}
            assert {row[0]: row[1:] for row in stream_holders(session, token, number)} == held_there
            assert list(pages(session, token, block)) == sorted(
                HeldUnits(address, *held) for address, held in held_there.items()
            )
            for address in ADDRESSES:
                held = entries.holding_at(session, token, address, number)
                assert held == there.holders.get(address, (0, 0))


def test_index__any_partition_of_the_blocks__projects_the_same(
    suite: Suite, suite_stage: Stage
) -> None:
    live(suite)
    last = suite.world.client.head().number
    suite.index()
    whole = everything(suite.world.database)
    with suite_stage.databases.copied(suite_stage.template) as untouched:
        first = cursor_of(untouched).number

    @settings(max_examples=6, deadline=None)
    @given(cuts=st.sets(st.integers(first, last - 1)))
    def project_in_parts(cuts: set[int]) -> None:
        client = ShortSighted(suite.world.node.url, CHAIN_ID)
        with suite_stage.databases.copied(suite_stage.template) as database:
            indexer = Indexer(database, client)
            for client.height in [*sorted(cuts), last]:
                catch_up(indexer)
            assert everything(database) == whole

    project_in_parts()


@pytest.mark.parametrize("step", [1, 2, 7])
def test_read__piece_by_piece__is_what_the_whole_range_is(suite: Suite, step: int) -> None:
    """Tokens that are deployed within it included."""
    suite.index()
    first = suite.world.client.head().number + 1
    other = suite.deploy("second")
    live(suite)
    other.register(3, 40)
    other.mint(3, 55)
    last = suite.world.client.head().number
    with suite.world.database.reading() as session:
        watched = read_watched(session, CHAIN_ID)
    reader = RangeReader(suite.world.client)

    whole = reader.read(watched, first, last, last)

    assert len(whole.found.tokens) == 1
    by_piece = reader.read(watched, first, last, last, steps=Steps(step, step))

    assert list(by_piece.found.everything()) == list(whole.found.everything())
    assert by_piece.found.blocks == whole.found.blocks
    assert by_piece.found.tokens == whole.found.tokens
    assert by_piece.found.contract_events == whole.found.contract_events
    assert (by_piece.first, by_piece.logs) == (whole.first, whole.logs)


def test_index__far_behind__waits_for_the_disk_only_near_the_head(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = suite.world.database.engine
    with engine.begin() as connection:
        name = connection.exec_driver_sql("SELECT current_database()").scalar_one()
        connection.exec_driver_sql(f'ALTER DATABASE "{name}" SET synchronous_commit = on')
    engine.dispose()
    monkeypatch.setattr("chain.sync.indexer.FAR_BEHIND", 2)
    monkeypatch.setattr("chain.sync.pace.FIRST_BLOCKS", 1)
    monkeypatch.setattr("chain.sync.pace.MOST_BLOCKS", 1)
    seen: list[tuple[int, str]] = []
    apply_range = projection.apply_range

    def spy(session: Session, chain_id: int, **said: Any) -> None:
        found = said["found"]
        waits = session.connection().execute(text("SHOW synchronous_commit")).scalar_one()
        seen.append((found.head_number - found.end.number, waits))
        apply_range(session, chain_id, **said)

    monkeypatch.setattr(projection, "apply_range", spy)
    suite.index()
    seen.clear()
    for number in range(5):
        suite.mint(number, 1)

    suite.index()

    assert len(seen) > 3
    assert seen == [(left, "off" if left > 2 else "on") for left in reversed(range(len(seen)))]
    suite.assert_exact()


def test_index__nothing_of_ours__interns_nobody(suite: Suite) -> None:
    before = suite.world.client.head().number
    suite.index()
    known = count(suite.world.database, Holder)
    suite.person(0).call("Identity", suite.identity(0), "addKey", b"\1" * 32, 3, 1)

    suite.index()

    assert count(suite.world.database, Holder) == known
    assert cursor_of(suite.world.database).number == before + 1

"""The round over the holders that compacts the history, on a real chain."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from chain.sync.compacting import Compacting
from registry.captable import entries
from registry.captable import service as captable
from registry.captable.stream import stream_holders
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import ADDRESSES, Suite, cursor_of

pytestmark = pytest.mark.chain

LIVE = 10
"""Blocks that are followed one by one: some more rows than a holder must have."""


def live(suite: Suite) -> None:
    """Have two holders move units in each block, each block followed by itself."""
    suite.mint(0, 10_000)
    suite.mint(1, 10_000)
    suite.do("unpause")
    suite.index()
    for number in range(LIVE):
        suite.move(0, 1, 5 + number)
        suite.index()


def rows(suite: Suite) -> int:
    with suite.world.database.reading() as session:
        query = text("SELECT count(*) FROM balance_at b JOIN token t USING (token_no)")
        return int(session.connection().execute(query).scalar_one())


def finalize(suite: Suite, number: int) -> None:
    with suite.world.database.transaction() as session:
        cursor = captable.sync_state(session, CHAIN_ID)
        block = captable.block_at(session, CHAIN_ID, number)
        cursor.finalized_number, cursor.finalized_hash = block.number, block.hash
        session.add(cursor)


def compact(suite: Suite) -> int:
    """Go round until a round has found nothing; give the rows that were folded."""
    compacting = Compacting(suite.world.database, CHAIN_ID, rest_seconds=0)
    return sum(compacting.turn() for _ in range(10))


def test_compacting__what_is_final__is_folded_and_exact_at_every_block(suite: Suite) -> None:
    first = suite.world.client.head().number
    live(suite)
    before = rows(suite)
    head = cursor_of(suite.world.database).number
    finalize(suite, head - 1)

    folded = compact(suite)
    assert folded >= 2 * LIVE
    # one row of each, and that of the block that is not final
    assert rows(suite) == before - folded + 2
    suite.assert_exact()
    with suite.world.database.reading() as session:
        token = captable.get_token(session, suite.token)
        for number in range(first, head + 1):
            there = suite.on_chain(number).holders
            held = {row[0]: row[1:] for row in stream_holders(session, token, number)}
            assert held == {address: held for address, held in there.items() if held[0]}
            assert entries.holding_at(session, token, ADDRESSES[0], number) == there.get(
                ADDRESSES[0], (0, 0)
            )


def test_compacting__nothing_is_final__folds_nothing(suite: Suite) -> None:
    live(suite)

    assert compact(suite) == 0


def test_compacting__reorg_below_what_was_compacted__is_exact_again(suite: Suite) -> None:
    live(suite)
    head = cursor_of(suite.world.database).number
    finalize(suite, head)
    assert compact(suite)

    suite.world.node.roll_back(4)
    suite.move(1, 0, 3)
    suite.index()
    suite.assert_exact()
    suite.move(0, 1, 1)
    suite.index()
    suite.assert_exact()


def test_compacting__after_a_round_in_vain__rests_until_more_is_final(suite: Suite) -> None:
    live(suite)
    head = cursor_of(suite.world.database).number
    finalize(suite, head - LIVE)
    compacting = Compacting(suite.world.database, CHAIN_ID, rest_seconds=0)
    assert [compacting.turn() for _ in range(10)] == [0] * 10

    finalize(suite, head)
    assert sum(compacting.turn() for _ in range(10)) > LIVE

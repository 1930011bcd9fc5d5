"""What a reorg below the final block changed of a holding is told, once that is final."""

from __future__ import annotations

from typing import Any

import pytest

from registry.captable.models import SyncCursor
from registry.portfolio.telling import tell_holdings
from registry.webhook import outbox
from tests.api.house import House
from tests.api.moves import FIRST_BLOCK, Moves, minted, moved, moves, wallet_no

pytestmark = pytest.mark.db


@pytest.fixture
def chain(fresh_house: House) -> Moves:
    """One buyer, of whose holding everything from the first block on is told."""
    found = moves(fresh_house, buyers=1)
    assert look(found) == []
    return found


def look(chain: Moves) -> list[tuple[str, str]]:
    """Let everything be final, and give what the buyer was told: units, and what they have then."""
    with chain.house.database.transaction() as session:
        cursor = session.get_one(SyncCursor, chain.chain_id)
        cursor.finalized_number = cursor.number
        session.add(cursor)
    with chain.house.database.transaction() as session:
        tell_holdings(session, chain.chain_id)
    with chain.house.database.transaction() as session:
        outbox.publish_round(session)
    path, caller = "/v1/me/events", chain.house.caller(chain.buyers[0].actor)
    rows: list[dict[str, Any]] = caller.get(path, limit=200).json()["items"]
    return [
        (row["facts"]["units"], row["facts"]["balance_units"])
        for row in rows
        if row["kind"] == "holding.changed"
    ]


@pytest.mark.parametrize("blocks", [3, 5, 9])
def test_holdings__of_a_branch_that_came_below_the_final_block__are_told_from_the_first_on(
    chain: Moves, blocks: int
) -> None:
    mine = chain.buyers[0].wallet.address
    fork = chain.mine(minted(mine, 10))
    chain.mine(moved(mine, wallet_no(1), 4))
    for _ in range(3):
        chain.mine()
    assert look(chain) == [("10", "10"), ("-4", "6")]

    chain.take_back_to(fork, "second")
    chain.mine(moved(mine, wallet_no(1), 1))
    chain.mine(moved(mine, wallet_no(2), 2))
    for _ in range(blocks - 2):
        chain.mine()

    assert look(chain) == [("10", "10"), ("-4", "6"), ("-1", "9"), ("-2", "7")]


def test_holdings__after_two_reorgs_between_two_looks__are_told_of_the_last_branch(
    chain: Moves,
) -> None:
    mine = chain.buyers[0].wallet.address
    fork = chain.mine(minted(mine, 10))
    for _ in range(3):
        chain.mine()
    look(chain)

    for branch, units in (("second", 1), ("third", 2)):
        chain.take_back_to(fork, branch)
        chain.mine(moved(mine, wallet_no(1), units))
        for _ in range(4):
            chain.mine()

    assert look(chain) == [("10", "10"), ("-2", "8")]


def test_holdings__place_is_of_no_block_that_was_ever_read__goes_on_below_it(
    chain: Moves,
) -> None:
    mine = chain.buyers[0].wallet.address
    chain.mine(minted(mine, 10))
    last = chain.mine(moved(mine, wallet_no(1), 4))
    look(chain)
    with chain.house.database.transaction() as session:
        session.connection().exec_driver_sql(
            "UPDATE notice_cursor SET block_hash = sha256(block_hash) WHERE block_number = %s",
            (last,),
        )
    chain.mine(moved(mine, wallet_no(1), 1))

    assert look(chain)[2:] == [("-4", "6"), ("-1", "5")], "of that block once more, and no other"
    assert last > FIRST_BLOCK

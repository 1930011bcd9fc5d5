"""Nodes that have dropped old blocks: what they no longer tell is taken for no reorg."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from chain.errors import NotKept, RpcRefused
from chain.node.client import Block, BlockId, ChainClient
from chain.sync.guard import Guard
from chain.sync.indexer import Indexer
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import Suite, catch_up, cursor_of, shuffle
from tests.chain.test_degraded import follow, held, spoil
from tests.chain.world import CONFIRMATIONS

__all__ = ["held"]

pytestmark = pytest.mark.chain


class Pruned(ChainClient):
    """A node that has dropped its first blocks, as EIP-4444 lets it."""

    first = 0
    refuses = False

    def block(self, block: BlockId) -> Block | None:
        if isinstance(block, int):
            return self.headers([block])[0]
        return super().block(block)

    def headers(self, numbers: Sequence[int]) -> list[Block | None]:
        if self.refuses and min(numbers) < self.first:
            raise RpcRefused("eth_getBlockByNumber", 4444, "pruned history unavailable", None)
        found = super().headers(numbers)
        return [
            header if number >= self.first else None
            for number, header in zip(numbers, found, strict=True)
        ]


def pruned(suite: Suite, *, keeps: int, refuses: bool) -> Pruned:
    """Give a node that has kept the newest blocks only."""
    client = Pruned(suite.world.node.url, CHAIN_ID)
    client.first, client.refuses = suite.world.client.head().number + 1 - keeps, refuses
    return client


REFUSES = pytest.mark.parametrize("refuses", [False, True], ids=["it says null", "it refuses"])


@REFUSES
def test_check__node_dropped_old_blocks__is_no_difference(held: Suite, *, refuses: bool) -> None:
    database = held.world.database
    client = pruned(held, keeps=2, refuses=refuses)

    for _ in range(5):
        assert Guard(database, client, finality=CONFIRMATIONS).check_due() is None

    held.mint(0, 1)
    catch_up(Indexer(database, client))
    held.assert_exact()
    assert cursor_of(database).degraded is None


@REFUSES
def test_check__node_dropped_old_blocks__one_that_it_kept_is_compared(
    held: Suite, *, refuses: bool
) -> None:
    database = held.world.database
    client = pruned(held, keeps=4, refuses=refuses)
    wrong = client.first + 1
    spoil(database, wrong)
    found = None
    for _ in range(50):
        found = found or Guard(database, client, finality=CONFIRMATIONS).compare()
    assert found == wrong

    Indexer(database, client).take_back_wrong(wrong)

    assert cursor_of(database).number == wrong - 1
    catch_up(Indexer(database, client))
    held.assert_exact()


@REFUSES
def test_take_back_wrong__oldest_that_is_kept__goes_to_the_block_below_and_no_further(
    held: Suite, *, refuses: bool
) -> None:
    database = held.world.database
    held.world.node.mine(5)
    held.mint(0, 1)
    follow(held)
    wrong = cursor_of(database).number - 1
    client = pruned(held, keeps=4, refuses=refuses)
    with database.engine.begin() as connection:
        # Nothing happened in the blocks below, so that they are not stored.
        connection.execute(
            text("DELETE FROM chain_block WHERE number BETWEEN :f AND :w"),
            {"f": client.first, "w": wrong - 1},
        )
        connection.execute(
            text(
                "INSERT INTO chain_block SELECT chain_id, :w, sha256(hash), parent_hash, mined_at"
                " FROM chain_block WHERE number = :c ON CONFLICT (chain_id, number)"
                " DO UPDATE SET hash = excluded.hash"
            ),
            {"c": wrong + 1, "w": wrong},
        )

    Indexer(database, client).take_back_wrong(wrong)

    assert cursor_of(database).number == wrong - 1
    catch_up(Indexer(database, client))
    held.assert_exact()


@REFUSES
def test_reorg__node_dropped_old_blocks__goes_back_to_one_that_it_kept(
    held: Suite, *, refuses: bool
) -> None:
    database = held.world.database
    ancestor = held.world.client.head()
    shuffle(held, seed=1, blocks=2)
    follow(held)
    held.world.node.roll_back(2)
    client = pruned(held, keeps=1, refuses=refuses)
    shuffle(held, seed=2, blocks=3)

    with capture_logs() as told:
        assert Indexer(database, client).advance()

    assert [line["ancestor"] for line in told if line["event"] == "reorg"] == [ancestor.number]
    catch_up(Indexer(database, client))
    held.assert_exact()


@REFUSES
def test_reorg__node_dropped_what_may_be_in_common__nothing_is_taken_back(
    held: Suite, *, refuses: bool
) -> None:
    database = held.world.database
    shuffle(held, seed=1, blocks=2)
    follow(held)
    before = cursor_of(database)
    held.world.node.roll_back(2)
    client = pruned(held, keeps=0, refuses=refuses)
    shuffle(held, seed=2, blocks=3)

    with pytest.raises(NotKept, match="has dropped block"):
        Indexer(database, client).advance()

    assert cursor_of(database).hash == before.hash
    assert cursor_of(database).degraded is None

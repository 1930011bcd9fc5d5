"""Two programs that project the same chain: one of them gives way, and nothing is counted twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from msgspec import Raw

from chain.node.client import Block, ChainClient
from chain.sync.indexer import Indexer
from chain.sync.ranges import RangeReader
from registry.captable import projection
from registry.captable.orphans import OrphanBlock
from registry.captable.projection import CursorMoved
from tests.chain.nodes import CHAIN_ID
from tests.chain.suite import Suite, count, cursor_of, shuffle

pytestmark = pytest.mark.chain

PATIENCE_SECONDS = 20


@pytest.fixture
def held(suite: Suite) -> Suite:
    for number in range(5):
        suite.mint(number, 10_000)
    suite.index()
    shuffle(suite, seed=1, blocks=5)
    return suite


class Waiting(ChainClient):
    """A node that answers only when the test lets it."""

    def __init__(self, suite: Suite, wait: Callable[[], object]) -> None:
        super().__init__(suite.world.node.url, CHAIN_ID)
        self._wait = wait


class WaitsWithLogs(Waiting):
    def logs(self, addresses: Sequence[bytes], first: int, last: int) -> list[Raw]:
        found = super().logs(addresses, first, last)
        self._wait()
        return found


class WaitsWithStoredBlocks(Waiting):
    """Answers at once what the block of the cursor is, but not where our history ends."""

    has_waited = False

    def headers(self, numbers: Sequence[int]) -> list[Block | None]:
        found = super().headers(numbers)
        if not self.has_waited:
            self.has_waited = True
            self._wait()
        return found


def outcome(future: Future[bool]) -> str:
    try:
        future.result(PATIENCE_SECONDS)
    except CursorMoved:
        return "gave way"
    return "went on"


def test_two_indexers__same_range__one_gives_way(held: Suite) -> None:
    both_have_read = threading.Barrier(2, timeout=PATIENCE_SECONDS)
    indexers = [
        Indexer(held.world.database, WaitsWithLogs(held, both_have_read.wait)) for _ in range(2)
    ]
    with ThreadPoolExecutor(2) as pool:
        ended = [pool.submit(indexer.advance) for indexer in indexers]
        outcomes = sorted(map(outcome, ended))

    assert outcomes == ["gave way", "went on"]
    held.assert_exact()


def test_two_indexers__overlapping_ranges__later_one_gives_way(held: Suite) -> None:
    go_on = threading.Event()
    slow = Indexer(held.world.database, WaitsWithLogs(held, lambda: go_on.wait(PATIENCE_SECONDS)))
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(slow.advance)
        shuffle(held, seed=2, blocks=2)
        held.index()
        go_on.set()

        assert outcome(ended) == "gave way"
    held.assert_exact()


def test_two_indexers__same_reorg__is_taken_back_once(held: Suite) -> None:
    held.index()
    held.world.node.roll_back(3)
    shuffle(held, seed=2, blocks=4)
    go_on = threading.Event()
    slow = Indexer(
        held.world.database, WaitsWithStoredBlocks(held, lambda: go_on.wait(PATIENCE_SECONDS))
    )
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(slow.advance)
        held.index()
        kept = count(held.world.database, OrphanBlock)
        go_on.set()

        assert outcome(ended) == "gave way"
    assert count(held.world.database, OrphanBlock) == kept
    held.assert_exact()


def test_two_indexers__range_commits_while_a_reorg_is_taken_back__state_is_exact(
    held: Suite,
) -> None:
    """The other's range is applied but not committed when the rewind begins."""
    slow_may_end, slow_is_there = threading.Event(), threading.Event()

    def hold() -> None:
        slow_is_there.set()
        slow_may_end.wait(PATIENCE_SECONDS)

    held.index()
    before = cursor_of(held.world.database).number
    shuffle(held, seed=3, blocks=2)
    with ThreadPoolExecutor(1) as pool:
        # It sees the reorg, but takes it back only after another has followed the new branch.
        slow = Indexer(held.world.database, WaitsWithStoredBlocks(held, hold))
        held.index()
        held.world.node.roll_back(4)
        shuffle(held, seed=2, blocks=6)
        ended = pool.submit(slow.advance)
        assert slow_is_there.wait(PATIENCE_SECONDS)
        follower = Indexer(held.world.database, held.world.client)
        assert follower.advance()
        shuffle(held, seed=5, blocks=2)
        with held.world.database.transaction() as session:
            cursor = follower._cursor(held.world.client.head())
            last = held.world.client.head()
            read = RangeReader(held.world.client).read(
                follower._watched(), cursor.number + 1, last.number, last.number
            )
            projection.apply_range(
                session, CHAIN_ID, after=(cursor.number, cursor.hash), found=read.found
            )
            slow_may_end.set()
            threading.Event().wait(0.5)
        assert outcome(ended) == "gave way"
    assert cursor_of(held.world.database).number > before
    held.index()
    held.assert_exact()
    shuffle(held, seed=4, blocks=2)
    held.index()
    held.assert_exact()

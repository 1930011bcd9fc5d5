"""A moment is of the last block that is not after it, also where times of blocks go back."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import accumulate

import pytest
from sqlmodel import Session, col, select

from registry.captable import times
from registry.captable.branches import first_known_since
from registry.captable.events import ProjectedBlock, ProjectedRange
from registry.captable.models import ChainBlock, SyncCursor
from registry.captable.projection import apply_range, move_cursor, open_cursor
from registry.captable.rewind import rewind
from registry.captable.service import block_at
from registry.kernel.errors import NotFound
from tests.columns import split
from tests.factories import Desk, numbers

NOON = datetime.fromisoformat("2026-03-01T12:00:00+05:00")


class Chain:
    """A chain whose blocks have nothing but times, in seconds since noon."""

    def __init__(self, session: Session) -> None:
        self.session, self.id, self.branch = session, next(numbers) + 10**6, 0
        self.seconds = [0]
        open_cursor(session, self.id, self.block(0), 0)

    def block(self, number: int) -> ProjectedBlock:
        digest = hashlib.sha256(b"%d:%d:%d" % (self.id, self.branch, number)).digest()
        moment = NOON + timedelta(seconds=self.seconds[number])
        return ProjectedBlock(number, digest, hashlib.sha256(digest).digest(), moment)

    def mine(self, *seconds: int, stored: Callable[[int], bool] = lambda _: True) -> None:
        """Project blocks of these times as one range; of all but the last, the stored ones."""
        first = len(self.seconds)
        self.seconds += seconds
        last = len(self.seconds) - 1
        kept = [each for each in range(first, last) if stored(each)]
        blocks = [self.block(each) for each in [*kept, last]]
        found = ProjectedRange(head_number=last, blocks=blocks, tokens=[], **split([]))
        cursor = self.cursor()
        apply_range(self.session, self.id, after=(cursor.number, cursor.hash), found=found)

    def take_back(self, ancestor: int) -> None:
        """Lose all blocks above one, stored or not."""
        cursor, row = self.cursor(), self.session.get(ChainBlock, (self.id, ancestor))
        kept = self.block(ancestor)
        if row is not None:
            kept = ProjectedBlock(ancestor, row.hash, row.parent_hash, row.mined_at)
        after = (cursor.number, cursor.hash)
        move_cursor(self.session, self.id, after=after, to=kept, head_number=cursor.number)
        rewind(self.session, self.id, kept)
        del self.seconds[ancestor + 1 :]
        self.branch += 1

    def add(self, added: Sequence[int]) -> None:
        """Store blocks below the cursor that were left out, as a token that is read behind does."""
        times.add_blocks(self.session, self.id, [self.block(each) for each in added])

    def cursor(self) -> SyncCursor:
        return self.session.get_one(SyncCursor, self.id, populate_existing=True)

    def stored(self) -> dict[int, datetime]:
        query = select(ChainBlock.number, ChainBlock.mined_at)
        rows = self.session.exec(query.where(col(ChainBlock.chain_id) == self.id))
        return dict(sorted(rows))

    def require_told(self) -> None:
        """Ask for every moment that makes a difference, and count the blocks ourselves."""
        stored = self.stored()
        newest = block_at(self.session, self.id, None)
        for second in range(min(self.seconds) - 1, max(self.seconds) + 2):
            moment = NOON + timedelta(seconds=second)
            last = max((each for each, at in stored.items() if at <= moment), default=None)
            first = min((each for each, at in stored.items() if at >= moment), default=None)
            try:
                told: int | None = block_at(self.session, self.id, moment).number
            except NotFound:
                told = None
            assert told == last, f"the last at {second}"
            since = first_known_since(self.session, self.id, moment, newest)
            assert since == (newest.number + 1 if first is None else first), f"since {second}"

    def set_back(self) -> timedelta:
        """Give by how much a block is of a time before that of an earlier one."""
        stored = list(self.stored().values())
        reached = accumulate(stored, max)
        return max(most - at for at, most in zip(stored, reached, strict=True))


@pytest.fixture
def chain(desk: Desk) -> Chain:
    return Chain(desk.session)


def test_block_at__clock_was_set_back__is_the_last_block_not_the_one_of_the_greatest_time(
    chain: Chain,
) -> None:
    chain.mine(118)
    chain.mine(116)

    assert block_at(chain.session, chain.id, NOON + timedelta(seconds=139)).number == 2
    chain.require_told()


@pytest.mark.parametrize("at_once", [True, False])
def test_block_at__times_rise_again_below_the_greatest__each_is_found(
    chain: Chain, *, at_once: bool
) -> None:
    told = [10, 5, 6, 7, 12]
    for each in [told] if at_once else [[second] for second in told]:
        chain.mine(*each)

    chain.require_told()
    assert chain.cursor().set_back == timedelta(seconds=5)


def test_block_at__times_only_rise__no_block_is_looked_at(chain: Chain) -> None:
    chain.mine(1, 1, 2)
    chain.mine(2)
    chain.take_back(2)
    chain.mine(1)
    chain.mine(4, 9)

    assert chain.cursor().set_back is None
    chain.require_told()


def test_block_at__lost_branch_leaves_a_late_block_that_was_not_stored__is_noted(
    chain: Chain,
) -> None:
    chain.mine(10)
    chain.mine(4, 20, stored=lambda _: False)
    assert chain.cursor().set_back is None

    chain.take_back(2)

    assert chain.cursor().set_back == timedelta(seconds=6)
    chain.require_told()


@pytest.mark.parametrize("seed", range(12))
def test_block_at__anything_happens_to_the_chain__is_what_counting_says(
    chain: Chain, seed: int
) -> None:
    dice = random.Random(seed)
    for _ in range(25):
        numbers_kept = list(chain.stored())
        left_out = sorted(set(range(len(chain.seconds))) - set(numbers_kept))
        act = dice.random()
        if act < 0.2 and len(numbers_kept) > 1:
            chain.take_back(dice.randrange(len(chain.seconds) - 1))
        elif act < 0.4 and left_out and not chain.branch:
            chain.add(sorted(dice.sample(left_out, dice.randint(1, len(left_out)))))
        else:
            start, falls = chain.seconds[-1], dice.random() < 0.3
            steps = [start + dice.randint(-4 if falls else 0, 4) for _ in range(dice.randint(1, 4))]
            chain.mine(*steps, stored=lambda _: dice.random() < 0.6)

        assert chain.set_back() <= (chain.cursor().set_back or timedelta(0))
        chain.require_told()

"""The schedule of a seed: by chance, and every fourth aimed at a point that chance seldom comes to.

A worker dies at each labelled point of the sending path. Most lie on the way of any mint; the
others need a cause, which comes at the right moment once in a thousand schedules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from tests.chaos.schedule import (
    DEEPEST,
    Asked,
    BackUp,
    Bad,
    BaseFee,
    Fault,
    Moved,
    Overtake,
    Reorg,
    Restore,
    Schedule,
    by_chance,
)

AIMED_OF = 4


def plan(seed: int) -> Schedule:
    """Make the schedule of a seed."""
    schedule = by_chance(seed)
    if seed % AIMED_OF:
        return schedule
    points = list(_CAUSES)
    point = points[seed // AIMED_OF % len(points)]
    # Whoever comes after the one who died dies there as well; the third goes on.
    return replace(_CAUSES[point](schedule), failpoints=(f"{point}:kill:1",) * 2)


def _with(schedule: Schedule, *faults: tuple[int, Fault]) -> Schedule:
    kept = [each for each in schedule.faults if not isinstance(each[1], (BackUp, Restore))]
    return replace(
        schedule, workers=1, faults=tuple(sorted([*kept, *faults], key=lambda each: each[0]))
    )


def _too_cheap(schedule: Schedule) -> Schedule:
    """What was sent is too cheap for the blocks that follow, for long."""
    return _with(schedule, *((block, BaseFee(6)) for block in range(1, 40, 8)))


def _lost(schedule: Schedule) -> Schedule:
    """Blocks are lost again and again, before anything in them is final."""
    reorgs = ((block, Reorg(3, 3, Moved.DROPPED)) for block in range(3, 36, 4))
    return replace(_with(schedule, *reorgs), finality=4)


def _refused(schedule: Schedule) -> Schedule:
    """The KYC of a buyer has ended, and another's wallet is frozen."""
    bad = {schedule.paid[0]: Bad.KYC_ENDED, schedule.paid[-1]: Bad.FROZEN}
    requests = tuple(each for each in schedule.requests if each[1].asked != Asked.CLOSE)
    return replace(_with(schedule), bad=bad, alone=(), closed_before=True, requests=requests)


def _restored(schedule: Schedule) -> Schedule:
    """A copy of before the mints takes the database's place when they are on chain."""
    return _with(schedule, (1, BackUp()), (14, Restore()))


def _reverted(schedule: Schedule) -> Schedule:
    """A mint reverts and is planned anew; then the chain loses all of that, below its finality."""
    buyer = schedule.paid[0]
    requests = tuple(each for each in schedule.requests if each[1].asked != Asked.CLOSE)
    sold = replace(
        schedule, bad={}, alone=(buyer,), closed_before=True, requests=requests, finality=1
    )
    return _with(sold, (0, Overtake(buyer, 8)), (26, Reorg(DEEPEST, DEEPEST, Moved.DROPPED)))


_CAUSES: Mapping[str, Callable[[Schedule], Schedule]] = {
    "before_bump_commit": _too_cheap,
    "after_bump_commit": _too_cheap,
    "before_vanished_commit": _lost,
    "after_vanished_commit": _lost,
    "before_unmined_commit": _lost,
    "after_unmined_commit": _lost,
    "before_reverted_commit": _reverted,
    "after_reverted_commit": _reverted,
    "before_refuse_commit": _refused,
    "after_refuse_commit": _refused,
    "batch_halved": _refused,
    "before_rebuilt_commit": _restored,
    "after_rebuilt_commit": _restored,
    "before_stream_commit": _restored,
    "after_stream_commit": _restored,
}

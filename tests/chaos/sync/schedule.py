"""What goes wrong in one schedule: everything that a seed decides, as data that can be printed.

Faults are those of `chain-sync.md` section 5, see `tests.chaos.sync.faults`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum

from registry.kernel.settings import Finality
from tests.chaos.model.lies import DEEP, NEAR, Kind
from tests.chaos.model.node import Habits
from tests.chaos.proxy_postgres import ORDERED
from tests.chaos.rpc_faults import OF_ANYTHING, OF_BATCHES, Rpc

FAILPOINTS = (
    "sync_before_commit",
    "sync_after_commit",
    "sync_mid_copy",
    "sync_before_rewind",
    "sync_mid_rewind",
    "sync_after_rewind",
    "sync_before_proof",
    "sync_after_proof",
)
METHODS = ("eth_getLogs", "eth_getBlockByNumber", "eth_call", "eth_getTransactionByHash")
AMBUSHED = METHODS[:3]
STATES = ("53100", "40001", "40P01", "57014", "53200", "25006")
"""Disk full, serialization failure, deadlock, statement timeout, out of memory, a read-only
replica: what PostgreSQL says of each."""
TABLES = ("token_event", "balance_at", "balance", "chain_block", "sync_cursor", "reconciliation")


UNTIL_CAUGHT_UP = -1.0
HELD_UP = 0.05
"""Seconds in which a sync meets a fault that does not go away."""
STATEMENTS = 40
"""A sync that follows a few blocks and a reorg sends about so many."""
DEEP_SHARE, DEEP_STEPS = 0.12, 12
"""How many schedules begin with a long history of which the node leaves logs out; they take longer,
and so have fewer steps."""
HOUR, DAY = 3_600, 86_400


class Do(StrEnum):
    """One thing that happens."""

    MINE = "mine"
    REORG = "reorg"
    REORG_AND_BACK = "reorg, then back to the branch before"
    AMBUSH_REORG = "reorg right after a call of"
    AMBUSH_MINE = "mine right after a call of"
    AMBUSH_KILL = "kill -9 right after a call of"
    AMBUSH_TERM = "SIGTERM right after a call of"
    GARBLE = "a token logs what it cannot"
    LIE = "lie"
    WAY = "lost on the way"
    NODE_AWAY = "node away"
    OTHER_CHAIN = "the node serves another chain for a moment"
    RESTART = "the chain begins anew"
    BEHIND = "two nodes, one behind by"
    CUT = "database connection breaks"
    CUT_ALL = "all database connections break"
    DATABASE_AWAY = "database lets nobody in"
    SQLSTATE = "writing fails with"
    CANCEL = "statements are cancelled"
    LONG_READER = "a reader holds its snapshot"
    BACKUP = "back the database up"
    RESTORE = "restore the backup"
    KILL = "kill -9"
    TERM = "SIGTERM, then start again"
    TERM_IN_REORG = "reorg, and SIGTERM right after a call of"
    CLOCK = "restart, with a clock that is off by seconds"
    ARMED = "restart, and kill -9 at"
    SECOND = "start a second sync"
    FREEZE = "stop the sync as a debugger does"
    THAW = "let it go on"
    DOWN = "the sync is down meanwhile"
    UP = "start the sync again"
    REPAIR = "the faults end for a moment"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens, and how long nothing else does after it.

    Parameters
    ----------
    kind, method
        Which lie, fault, failpoint or table; the call that it is about.
    amount, more
        Depth and new blocks of a reorg; blocks mined.
    skip, times
        So many calls or statements come through before; so many meet it.
    pause
        Seconds; `UNTIL_CAUGHT_UP`: until the sync stands at the head, if that does not take long.
    """

    do: Do
    kind: str = ""
    method: str = ""
    amount: int = 0
    more: int = 0
    skip: int = 0
    times: int = 1
    pause: float = 0.0

    def __str__(self) -> str:
        parts = [str(self.do), self.kind, self.method]
        numbers = {"amount": self.amount, "more": self.more, "skip": self.skip}
        parts += [f"{name}={value}" for name, value in numbers.items() if value]
        parts += [f"times={self.times}"] * (self.times != 1)
        wait = f"{self.pause * 1000:.0f} ms" if self.pause >= 0 else "until caught up"
        return " ".join(filter(None, parts)) + f" ({wait})"


@dataclass(frozen=True, slots=True)
class Schedule:
    """Everything that one seed decides."""

    seed: int
    history: int
    """Blocks before the sync begins."""
    habits: Habits
    finality: Finality
    lies: tuple[Step, ...] = ()
    """Of the node, about what lies deep below the head: told while the history is read."""
    steps: tuple[Step, ...] = field(default=())

    def __str__(self) -> str:
        lies = "".join(f"\n  before: {lie}" for lie in self.lies)
        steps = "".join(f"\n  {number}. {step}" for number, step in enumerate(self.steps, 1))
        return f"{self.history} blocks; final {self.finality}; {self.habits}:{lies}{steps}"


def plan(seed: int) -> Schedule:
    dice = random.Random(f"schedule {seed}")
    habits = Habits(
        finality=dice.choice((64, 64, 32, 3, None)),
        stuck_at=dice.choice((None, None, None, 0, 12)),
        widest=dice.choice((10_000, 10_000, 10_000, 64, 7, 2)),
        most_logs=dice.choice((100_000, 100_000, 40, 5)),
        forgets_branches=dice.random() < 0.5,
        prunes=dice.random() < 0.1,
        lends_code=dice.random() < 0.7,
        has_multicall=seed % 2 == 0,
        hides=dice.random() < 0.4,
    )
    finality: Finality = dice.choice((2, 12, "finalized", "safe"))
    count = dice.randint(5, 12)
    steps = tuple(step for _ in range(count) for step in _step(dice))
    if dice.random() < DEEP_SHARE:
        return _deep(dice, Schedule(seed, dice.choice((260, 400)), habits, finality, steps=steps))
    history = dice.choice((1, 4, 12, 40, 40, 140))
    return Schedule(seed, history, habits, finality, steps=steps)


def _deep(dice: random.Random, schedule: Schedule) -> Schedule:
    """Have the node leave logs out deep below the head; it gives enough of them at once."""
    lies = [
        Step(
            Do.LIE, dice.choice(DEEP), skip=dice.choice((0, 0, 0, 1)), times=dice.choice((1, 1, 2))
        )
        for _ in range(dice.choice((1, 1, 2)))
    ]
    habits = replace(
        schedule.habits, widest=dice.choice((10_000, 64)), most_logs=dice.choice((100_000, 40))
    )
    return replace(schedule, habits=habits, lies=tuple(lies), steps=schedule.steps[:DEEP_STEPS])


Makes = Callable[[random.Random], list[Step]]


def _pause(dice: random.Random) -> float:
    return dice.choice((0.0, 0.0, 0.01, 0.03, 0.1, *[UNTIL_CAUGHT_UP] * 4))


def _depth(dice: random.Random) -> int:
    return dice.choice((1, 1, 2, 3, 3, 6, 12, 30, 70, 400))


def _reorg(dice: random.Random, do: Do = Do.REORG, method: str = "", skip: int = 0) -> Step:
    depth = _depth(dice)
    # Longer, of equal height, shorter, and shorter by far.
    grown = dice.choice((2, 1, 1, 0, 0, -1, -depth // 2))
    return Step(
        *(do, "", method, depth, max(min(depth, 100) + grown, 0), skip),
        pause=_pause(dice),
    )


def _mine(dice: random.Random) -> Step:
    return Step(Do.MINE, amount=dice.choice((1, 1, 2, 5, 20)), pause=_pause(dice))


def _lie(dice: random.Random) -> list[Step]:
    lie = Step(
        Do.LIE,
        dice.choice(NEAR),
        skip=dice.choice((0, 0, 1, 2, 5)),
        times=dice.choice((1, 1, 2, 4)),
    )
    after = _mine(dice) if dice.random() < 0.6 else _reorg(dice)
    return [*_beside(Kind(lie.kind)), lie, after]


def _beside(kind: Kind) -> list[Step]:
    """Give the lie without which nobody would ask what this one is about."""
    asked = {Kind.NO_RECEIPTS: Kind.NO_LOGS_AT_THE_END, Kind.NO_RECEIPT: Kind.WRONG_TX}
    return [Step(Do.LIE, asked[kind], times=4)] if kind in asked else []


def _ambush(dice: random.Random) -> list[Step]:
    method, skip = dice.choice(AMBUSHED), dice.randrange(6)
    do = dice.choice((Do.AMBUSH_REORG,) * 4 + (Do.AMBUSH_MINE, Do.AMBUSH_KILL, Do.AMBUSH_TERM))
    if do == Do.AMBUSH_REORG:
        return [_reorg(dice, do, method, skip), _mine(dice)]
    after = _mine(dice) if dice.random() < 0.5 else _reorg(dice)
    return [Step(do, method=method, skip=skip, amount=dice.randint(1, 4)), after]


def _way(dice: random.Random) -> list[Step]:
    of_batches = dice.random() < 0.4
    kind = dice.choice((*OF_BATCHES, Rpc.MIXED_IDS) if of_batches else OF_ANYTHING)
    method = "" if of_batches or dice.random() < 0.5 else dice.choice(METHODS)
    if kind == Rpc.MIXED_IDS:
        # Of other answers nothing tells which is whose: that would be a lie.
        method = "eth_getBlockByNumber"
    times = dice.choice((1, 1, 2, 5))
    return [Step(Do.WAY, kind, method, skip=dice.randrange(5), times=times), _mine(dice)]


def _cut(dice: random.Random) -> list[Step]:
    skip = dice.choice((0, 0, 1, 2, *[dice.randrange(STATEMENTS)] * 4))
    cut = Step(Do.CUT, dice.choice(ORDERED), skip=skip)
    return [cut, _mine(dice)] if dice.random() < 0.6 else [cut, _reorg(dice)]


def _sqlstate(dice: random.Random) -> list[Step]:
    step = Step(Do.SQLSTATE, dice.choice(STATES), dice.choice(TABLES))
    mine, reorg = (replace(each, pause=HELD_UP) for each in (_mine(dice), _reorg(dice)))
    return [step, mine, reorg, Step(Do.REPAIR, pause=_pause(dice))]


def _armed(dice: random.Random) -> list[Step]:
    armed = Step(Do.ARMED, dice.choice(FAILPOINTS), times=dice.choice((1, 1, 2, 3)))
    return [armed, _mine(dice), _reorg(dice), Step(Do.UP, pause=_pause(dice))]


def _down(dice: random.Random) -> list[Step]:
    return [Step(Do.DOWN), _mine(dice), _reorg(dice), Step(Do.UP, pause=_pause(dice))]


def _zombie(dice: random.Random) -> list[Step]:
    frozen = [Step(Do.FREEZE), Step(Do.SECOND, pause=_pause(dice)), _mine(dice)]
    return [*frozen, _reorg(dice), Step(Do.THAW, pause=_pause(dice)), _mine(dice)]


def _restored(dice: random.Random) -> list[Step]:
    between = [_mine(dice), _reorg(dice), _mine(dice)]
    return [Step(Do.BACKUP, pause=_pause(dice)), *between, Step(Do.RESTORE, pause=_pause(dice))]


def _garble(dice: random.Random) -> list[Step]:
    after = _mine(dice) if dice.random() < 0.5 else _reorg(dice)
    return [Step(Do.GARBLE, pause=_pause(dice)), after]


def _cancel(dice: random.Random) -> list[Step]:
    work = _mine(dice) if dice.random() < 0.5 else _reorg(dice)
    return [replace(work, pause=0.0), Step(Do.CANCEL, pause=_pause(dice))]


def _term_in_reorg(dice: random.Random) -> list[Step]:
    method, skip = dice.choice(METHODS[:2]), dice.randrange(3)
    caught_up = Step(Do.MINE, amount=1, pause=UNTIL_CAUGHT_UP)
    return [caught_up, _reorg(dice, Do.TERM_IN_REORG, method, skip), _mine(dice)]


def _alone(do: Do, *amounts: int) -> Makes:
    def make(dice: random.Random) -> list[Step]:
        amount = dice.choice(amounts) if amounts else 0
        return [Step(do, amount=amount, pause=_pause(dice)), _mine(dice)]

    return make


_MAKERS: list[tuple[int, Makes]] = [
    (10, lambda dice: [_mine(dice)]),
    (14, lambda dice: [_reorg(dice)]),
    (5, lambda dice: [_reorg(dice, Do.REORG_AND_BACK)]),
    (12, _ambush),
    (16, _lie),
    (2, _garble),
    (8, _way),
    (2, _alone(Do.NODE_AWAY)),
    (1, _alone(Do.OTHER_CHAIN)),
    (1, _alone(Do.RESTART, 3, 30)),
    (4, _alone(Do.BEHIND, 1, 2, 5)),
    (9, _cut),
    (2, _alone(Do.CUT_ALL)),
    (2, _alone(Do.DATABASE_AWAY)),
    (4, _sqlstate),
    (2, _cancel),
    (1, _alone(Do.LONG_READER)),
    (2, _restored),
    (4, _alone(Do.KILL)),
    (3, _alone(Do.TERM)),
    (2, _term_in_reorg),
    (2, _alone(Do.CLOCK, -DAY, -HOUR, -2, 2, HOUR, DAY)),
    (7, _armed),
    (3, _alone(Do.SECOND)),
    (3, _zombie),
    (4, _down),
]


def _step(dice: random.Random) -> list[Step]:
    makers = [maker for _, maker in _MAKERS]
    return dice.choices(makers, [weight for weight, _ in _MAKERS])[0](dice)

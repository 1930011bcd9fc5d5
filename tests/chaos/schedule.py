"""One schedule: what is ordered of the registry, and what breaks when; all of it by its seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from enum import StrEnum

from tests.chaos import proxy_postgres, rpc_faults
from tests.chaos.rpc_faults import Rpc
from tests.chaos.stage import ACCOUNTS, BUYERS

HORIZON = 50
"""Blocks in which things break; then all is healed."""
DEEPEST = 32
OVERTAKEN = 0.2
"""In so many schedules a mint reverts that is planned anew later."""

POINTS = (
    *("before_sign_commit", "after_sign_commit", "before_broadcast", "after_broadcast"),
    *("after_broadcast_commit", "before_mined_commit", "after_mined_commit"),
    *("before_final_commit", "after_final_commit", "before_bump_commit", "after_bump_commit"),
    *("before_vanished_commit", "after_vanished_commit", "before_unmined_commit"),
    *("after_unmined_commit", "before_reverted_commit", "after_reverted_commit"),
    *("before_refuse_commit", "after_refuse_commit", "batch_halved"),
    *("before_rebuilt_commit", "after_rebuilt_commit", "before_stream_commit"),
    "after_stream_commit",
)
"""The failpoints of the sending path."""


class Moved(StrEnum):
    """What becomes of the transactions of blocks that a reorg takes away."""

    MOVED = "moved to other blocks"
    DROPPED = "dropped"
    PARTLY = "some moved, the others dropped"
    REPLACED = "another attempt of the same nonce mined, where there is one"


class Bad(StrEnum):
    """What makes the mint of a buyer a bad row."""

    FROZEN = "the wallet is frozen on chain, behind the registry's back"
    KYC_ENDED = "KYC ended after the sale was closed"


@dataclass(frozen=True, slots=True)
class OnRpc:
    """A fault of the node's answers."""

    kind: Rpc
    method: str | None = None
    skip: int = 0
    times: int = 1
    amount: int = 1
    batch_only: bool = False


@dataclass(frozen=True, slots=True)
class OnDatabase:
    """A connection to the database breaks."""

    cut: proxy_postgres.Cut
    skip: int


@dataclass(frozen=True, slots=True)
class RestartDatabase:
    crash: bool


@dataclass(frozen=True, slots=True)
class BackUp:
    """A copy of the database is put aside."""


@dataclass(frozen=True, slots=True)
class Restore:
    """The workers are killed, the copy takes the database's place, and they start again."""


@dataclass(frozen=True, slots=True)
class NodeAway:
    blocks: int


@dataclass(frozen=True, slots=True)
class Reorg:
    """So many blocks are taken away, and `mined` others come instead."""

    depth: int
    mined: int
    moved: Moved


@dataclass(frozen=True, slots=True)
class BaseFee:
    """The base fee is ten times what it was, for so many blocks."""

    blocks: int


@dataclass(frozen=True, slots=True)
class ForgetPool:
    """The node forgets what waits in its pool: all of it, or the first."""

    only_first: bool


@dataclass(frozen=True, slots=True)
class Starve:
    """A key has no money for so many blocks."""

    account: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Stop:
    """A worker is killed, or told to end; another takes its place."""

    worker: int
    gently: bool


@dataclass(frozen=True, slots=True)
class KeyUsed:
    """Somebody else uses a key of ours: behind what waits, or in its place."""

    account: int
    instead: bool


@dataclass(frozen=True, slots=True)
class Freeze:
    """A wallet is frozen on chain in the middle of it all: its mint may fail, or come before."""

    buyer: int


@dataclass(frozen=True, slots=True)
class Overtake:
    """A wallet is frozen in front of its mint, which reverts.

    So many blocks later it is free again, and a person has the mint planned anew.
    """

    buyer: int
    blocks: int


Fault = (
    OnRpc
    | OnDatabase
    | RestartDatabase
    | BackUp
    | Restore
    | NodeAway
    | Reorg
    | BaseFee
    | ForgetPool
    | Starve
    | Stop
    | KeyUsed
    | Freeze
    | Overtake
)


class Asked(StrEnum):
    """What people ask of the registry meanwhile."""

    CLOSE = "close the sale and mint"
    TITLE = "tell the token another root of its title"
    IDENTITY = "open an identity that stands already"


@dataclass(frozen=True, slots=True)
class Request:
    """One request under one idempotency key, sent `copies` times at once."""

    asked: Asked
    number: int
    copies: int


@dataclass(frozen=True, slots=True)
class Schedule:
    """A whole run.

    Parameters
    ----------
    paid
        Buyers who pay; what is unsold goes to the wrapper.
    alone
        Buyers whose operations share no transaction with others.
    closed_before
        The sale is closed before anything breaks.
    """

    seed: int
    workers: int
    pool: bool
    finality: int
    paid: tuple[int, ...]
    alone: tuple[int, ...]
    bad: dict[int, Bad]
    closed_before: bool
    requests: tuple[tuple[int, Request], ...]
    faults: tuple[tuple[int, Fault], ...]
    failpoints: tuple[str, ...]

    def has(self, kind: type) -> bool:
        return any(isinstance(fault, kind) for _, fault in self.faults)

    def may_fail(self) -> set[int]:
        """Buyers whose mint may end either way."""
        return {fault.buyer for _, fault in self.faults if isinstance(fault, (Freeze, Overtake))}

    def __str__(self) -> str:
        keys = "a pool" if self.pool else "one key"
        bad = {number: str(why) for number, why in self.bad.items()}
        lines = [
            f"seed {self.seed}: {self.workers} workers, {keys}, finality {self.finality}",
            f"  paid {self.paid}, alone {self.alone}, bad {bad}, {self.closed_before=}",
            f"  failpoints {', '.join(self.failpoints)}",
        ]
        events = sorted([*self.requests, *self.faults], key=lambda each: each[0])
        return "\n".join([*lines, *(f"  block {block}: {what}" for block, what in events)])


def by_chance(seed: int) -> Schedule:
    """Draw a schedule by the dice of a seed."""
    dice = random.Random(seed)
    buyers = list(range(BUYERS))
    paid = tuple(sorted(dice.sample(buyers, dice.randint(2, BUYERS))))
    bad = {number: dice.choice(list(Bad)) for number in paid if dice.random() < 0.08}
    closed_before = Bad.KYC_ENDED in bad.values() or dice.random() < 0.4
    pool = dice.random() < 0.4
    faults = _faults(dice, paid, pool=pool)
    schedule = Schedule(
        seed=seed,
        workers=dice.choice((1, 1, 2, 2, 3)),
        pool=pool,
        finality=dice.choice((0, 1, 1, 2, 4)),
        paid=paid,
        alone=tuple(number for number in buyers if dice.random() < 0.4),
        bad=bad,
        closed_before=closed_before,
        requests=tuple(_requests(dice, closed_before=closed_before)),
        faults=tuple(sorted(faults, key=lambda each: each[0])),
        failpoints=tuple(_failpoints(dice, faults)),
    )
    # A mint that shares no transaction can revert alone.
    able = [number for number in schedule.alone if number in paid and number not in bad]
    if able and dice.random() < OVERTAKEN:
        found = (dice.randrange(8), Overtake(dice.choice(able), dice.randint(3, 12)))
        schedule = replace(schedule, faults=(found, *schedule.faults))
    return schedule


def _requests(dice: random.Random, *, closed_before: bool) -> list[tuple[int, Request]]:
    found = []
    if not closed_before:
        found.append((dice.randrange(8), Request(Asked.CLOSE, 0, dice.randint(1, 4))))
    found += [
        (5 * number + dice.randrange(6), Request(Asked.TITLE, number, 1))
        for number in range(dice.randint(0, 4))
    ]
    found += [
        (dice.randrange(35), Request(Asked.IDENTITY, number, dice.randint(1, 3)))
        for number in range(dice.randint(0, 4))
    ]
    return sorted(found, key=lambda each: each[0])


def _failpoints(dice: random.Random, faults: list[tuple[int, Fault]]) -> list[str]:
    """Give what the workers that start one after the other die of, until nothing is left."""
    likely = list(POINTS[:9])
    if any(isinstance(fault, (BaseFee, ForgetPool)) for _, fault in faults):
        likely += ["before_bump_commit", "after_bump_commit"]
    if any(isinstance(fault, Reorg) for _, fault in faults):
        likely += [name for name in POINTS if "vanished" in name or "unmined" in name]
    if any(isinstance(fault, Restore) for _, fault in faults):
        likely += 2 * [name for name in POINTS if "rebuilt" in name or "stream" in name]
    chosen = [dice.choice(likely if dice.random() < 0.8 else POINTS) for _ in range(6)]
    count = dice.choice((0, 0, 1, 2, 3, 5))
    return [f"{name}:kill:{dice.choice((1, 1, 2, 3))}" for name in chosen[:count]]


def _faults(dice: random.Random, paid: tuple[int, ...], *, pool: bool) -> list[tuple[int, Fault]]:
    found: list[tuple[int, Fault]] = [
        (dice.randrange(HORIZON), _fault(dice)) for _ in range(dice.randint(2, 9))
    ]
    if dice.random() < 0.2:
        block = dice.randrange(HORIZON // 2)
        found.append((block, BackUp()))
        found.append((dice.randrange(block + 1, HORIZON), Restore()))
    if dice.random() < 0.1:
        used = KeyUsed(dice.choice((0, 3)) if pool else 0, instead=dice.random() < 0.5)
        found.append((dice.randrange(HORIZON), used))
    if dice.random() < 0.15:
        found.append((dice.randrange(15), Freeze(dice.choice(paid))))
    return found


def _fault(dice: random.Random) -> Fault:
    makers = (
        (6, _of_sends),
        (3, _of_numbers),
        (2, _of_anything),
        (2, _of_batches),
        (4, _reorg),
        (3, lambda dice: OnDatabase(dice.choice(list(proxy_postgres.Cut)), dice.randrange(25))),
        (1, lambda dice: RestartDatabase(dice.random() < 0.5)),
        (1, lambda dice: NodeAway(dice.randint(1, 12))),
        (2, lambda dice: BaseFee(dice.randint(3, 20))),
        (2, lambda dice: ForgetPool(dice.random() < 0.5)),
        (1, lambda dice: Starve(dice.randrange(len(ACCOUNTS)), dice.randint(2, 15))),
        (2, lambda dice: Stop(dice.randrange(3), dice.random() < 0.5)),
    )
    weights = [weight for weight, _ in makers]
    return dice.choices([make for _, make in makers], weights)[0](dice)


def _of_sends(dice: random.Random) -> Fault:
    kind = dice.choice(rpc_faults.OF_SENDS)
    return OnRpc(kind, rpc_faults.SEND, dice.randrange(4), dice.choice((1, 1, 2, 3)))


def _of_numbers(dice: random.Random) -> Fault:
    kind = dice.choice(list(rpc_faults.OF_METHODS))
    method = rpc_faults.OF_METHODS[kind]
    return OnRpc(kind, method, dice.randrange(10), dice.randint(1, 4), dice.randint(1, 3))


def _of_anything(dice: random.Random) -> Fault:
    return OnRpc(dice.choice(rpc_faults.OF_ANYTHING), None, dice.randrange(30), dice.randint(1, 2))


def _of_batches(dice: random.Random) -> Fault:
    kind = dice.choice(rpc_faults.OF_BATCHES)
    return OnRpc(kind, None, dice.randrange(20), dice.randint(1, 3), batch_only=True)


def _reorg(dice: random.Random) -> Fault:
    depth = dice.choice((1, 1, 2, 3, 5, 8, dice.randint(1, DEEPEST)))
    mined = max(1, depth + dice.randint(-3, 3))
    return Reorg(depth, mined, dice.choice(list(Moved)))

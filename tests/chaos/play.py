"""Playing one schedule: set up, let everything break, heal, wait until it is quiet, judge."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from tests.chaos.breaking import break_it
from tests.chaos.clients import carry_out, pay
from tests.chaos.judge import Judge, Verdict
from tests.chaos.scene import Scene, open_scene
from tests.chaos.schedule import (
    HORIZON,
    Asked,
    Bad,
    KeyUsed,
    OnDatabase,
    OnRpc,
    Overtake,
    Request,
    Schedule,
)
from tests.chaos.stage import Stage

BLOCK_REQUESTS = 6
BLOCK_SECONDS = 0.3
"""A block comes after so many requests of the workers, so that a slow machine plays the same
schedule; or after so long, where nobody asks anything."""
SETTLE_SECONDS = 90.0
LOOK_SECONDS = 0.004
QUIET_LOOKS = 6
"""So many blocks in a row nothing must be on its way, before it is called quiet."""

PERSON_SECONDS = 1.5
"""How often a person looks, where somebody else has used a key."""


@dataclass(slots=True)
class Result:
    """What came of a schedule.

    Parameters
    ----------
    died_at
        How often a worker was killed at each failpoint.
    met
        How often each kind of fault really happened.
    """

    verdict: Verdict
    seconds: float
    died_at: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)


def play(stage: Stage, schedule: Schedule, log: Path) -> Result:
    """Play a schedule on a copy of the stage.

    Parameters
    ----------
    log
        Where what the workers say is written.
    """
    began = time.monotonic()
    with open_scene(stage, schedule, log) as scene:
        set_up(scene)
        suffer(scene)
        heal(scene)
        settle(scene)
        verdict = judge(scene)
        met = _met(scene)
    return Result(verdict, time.monotonic() - began, scene.crew.died_at, met)


def set_up(scene: Scene) -> None:
    """Have the buyers pay, and spoil the bad rows; nothing is broken yet."""
    schedule, sale = scene.schedule, scene.stage.sale
    with scene.database.transaction() as session:
        pay(session, sale, schedule)
        if schedule.closed_before:
            carry_out(session, sale, schedule, Request(Asked.CLOSE, 0, 1))
    for buyer, why in schedule.bad.items():
        if why == Bad.FROZEN:
            scene.freeze(buyer)
        else:
            scene.end_kyc(buyer)
    scene.network.set_floor()
    scene.crew.tend()


def suffer(scene: Scene) -> None:
    """Take the schedule's blocks one after the other."""
    for scene.block in range(HORIZON):
        for block, request in scene.schedule.requests:
            if block == scene.block:
                scene.clients.ask(request)
        for block, fault in scene.schedule.faults:
            if block == scene.block:
                break_it(fault, scene)
                scene.broken[type(fault).__name__] += 1
        scene.mend_due()
        _take_block(scene)


def heal(scene: Scene) -> None:
    """Mend everything, and leave a whole crew without failpoints."""
    for _, mend in scene.later:
        mend()
    scene.later.clear()
    scene.rpc.heal()
    scene.postgres.heal()
    scene.network.heal()
    scene.crew.heal()
    scene.crew.tend()


def settle(scene: Scene) -> None:
    """Mine until nothing is on its way any more, or the patience is at its end."""
    needs_person = scene.schedule.has(KeyUsed) or scene.schedule.has(Overtake)
    began = looked = time.monotonic()
    quiet = 0
    while quiet < QUIET_LOOKS and time.monotonic() < began + SETTLE_SECONDS:
        _take_block(scene)
        quiet = quiet + 1 if _is_quiet(scene) else 0
        is_due = time.monotonic() - looked > PERSON_SECONDS
        if needs_person and (is_due or quiet == QUIET_LOOKS):
            looked = time.monotonic()
            if scene.person.look():
                quiet = 0
    scene.clients.await_answers()


def judge(scene: Scene) -> Verdict:
    """Stop everybody, and look at the chain and the database."""
    scene.crew.stop_all()
    judge = Judge(
        scene.node.url,
        scene.database.driver_url,
        scene.stage.sale,
        scene.schedule,
        floor=scene.network.floor,
    )
    verdict = judge.judge(set(scene.network.foreign))
    verdict.lost += scene.crew.troubles + scene.clients.troubles
    return verdict


def _met(scene: Scene) -> Counter[str]:
    found = Counter({f"node: {kind}": times for kind, times in scene.rpc.met.items()})
    found.update({f"database: {cut}": times for cut, times in scene.postgres.met.items()})
    ordered = {OnRpc.__name__, OnDatabase.__name__}
    found.update({name: times for name, times in scene.broken.items() if name not in ordered})
    return found


def _take_block(scene: Scene) -> None:
    scene.crew.tend()
    heard = scene.rpc.heard
    scene.network.mine()
    deadline = time.monotonic() + BLOCK_SECONDS
    while scene.rpc.heard < heard + BLOCK_REQUESTS and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)


def _is_quiet(scene: Scene) -> bool:
    with psycopg.connect(scene.database.driver_url) as connection:
        found = connection.execute(
            "SELECT NOT EXISTS (SELECT FROM operation WHERE state IN"
            " ('planned', 'signed', 'broadcast', 'mined'))"
        ).fetchone()
    assert found is not None
    return bool(found[0])

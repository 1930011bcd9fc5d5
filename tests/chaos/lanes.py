"""Playing seeded schedules side by side, each lane in a process and on a stage of its own.

CHAOS_SCHEDULES says how many (500), CHAOS_FIRST with which seed they begin (1), SEED plays one
again, or several with commas, and CHAOS_LANES how many are played side by side (2).
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from pathlib import Path
from typing import Any

from registry.kernel.settings import ROOT

KEPT_LOGS = ROOT / ".data" / "chaos"
PROGRESS_SECONDS = 10.0
LOOK_SECONDS = 1.0

_SPAWN = multiprocessing.get_context("spawn")

Lane = Callable[["Queue[int]", "Queue[tuple[int, Any]]"], None]
"""Plays seeds until there is none left, and tells what came of each."""


def wanted_seeds() -> list[int]:
    """Give the seeds that the environment asks for."""
    if only := os.environ.get("SEED"):
        return [int(each) for each in only.split(",")]
    first = int(os.environ.get("CHAOS_FIRST", "1"))
    return list(range(first, first + int(os.environ.get("CHAOS_SCHEDULES", "500"))))


def end_at_sigterm() -> None:
    """Take everything down on the way out: a node, a database, other processes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def each_seed(seeds: Queue[int]) -> Iterator[int]:
    while True:
        try:
            yield seeds.get(timeout=LOOK_SECONDS)
        except queue.Empty:
            return


def keep_log(log: Path, *, is_wanted: bool) -> None:
    """Keep the log of a schedule that went wrong, and no other."""
    if is_wanted and log.exists():
        KEPT_LOGS.mkdir(parents=True, exist_ok=True)
        shutil.move(log, KEPT_LOGS / log.name)
    log.unlink(missing_ok=True)


def play_side_by_side(lane: Lane, wanted: Sequence[int], add: Callable[[int, Any], None]) -> bool:
    """Play all that is wanted, adding what came of each; tell whether all was played."""
    end_at_sigterm()
    seeds: Queue[int] = _SPAWN.Queue()
    results: Queue[tuple[int, Any]] = _SPAWN.Queue()
    for seed in wanted:
        seeds.put(seed)
    lanes = min(int(os.environ.get("CHAOS_LANES", "2")), len(wanted))
    # Not daemons: each has children of its own.
    processes = [
        _SPAWN.Process(target=lane, args=(seeds, results), name=f"lane {number}")
        for number in range(lanes)
    ]
    for process in processes:
        process.start()
    played = 0
    try:
        while played < len(wanted):
            try:
                add(*results.get(timeout=LOOK_SECONDS))
                played += 1
            except queue.Empty:
                if not any(process.is_alive() for process in processes):
                    print(f"every lane has ended after {played} of {len(wanted)} schedules")
                    break
    except BaseException:
        # Each takes its node and its database down.
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.join()
    return played == len(wanted)


@dataclass
class Progress:
    """How far it is, and which faults were met."""

    wanted: int
    began: float = field(default_factory=time.monotonic)
    played: int = 0
    met: Counter[str] = field(default_factory=Counter)
    _told: float = 0.0

    def add(self, met: Counter[str]) -> None:
        self.played += 1
        self.met += met

    def tell_now_and_then(self, so_far: str) -> None:
        passed = time.monotonic() - self.began
        if passed - self._told > PROGRESS_SECONDS:
            self._told = passed
            left = passed / self.played * (self.wanted - self.played)
            print(
                f"{self.played} of {self.wanted} schedules in {passed:.0f} s, about {left:.0f} s"
                f" left; {so_far}",
                flush=True,
            )

    def tell_faults(self, never: Sequence[str]) -> None:
        print("faults: " + named(self.met))
        print("killed nowhere at: " + (", ".join(never) or "no point is left out"))

    def tell_end(self, so_far: str) -> None:
        seconds = time.monotonic() - self.began
        print(f"{seconds:.0f} s, {seconds / max(self.played, 1):.1f} s for each schedule")
        print(f"{self.played} schedules, {so_far}", flush=True)


def named(counted: Counter[str]) -> str:
    return ", ".join(f"{name} {times}" for name, times in sorted(counted.items()))

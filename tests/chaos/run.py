"""`make chaos-operations`: random schedules, each judged; the last line counts what went wrong.

CHAOS_SCHEDULES says how many (500), SEED plays one again, or several with commas, and CHAOS_LANES
how many are played side by side, each on a stage of its own.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from pathlib import Path

import structlog

from registry.kernel.settings import ROOT
from tests.chaos.judge import Verdict
from tests.chaos.play import Result, play
from tests.chaos.schedule import POINTS, plan
from tests.chaos.stage import open_stage

SCHEDULES = 500
LANES = 2
PROGRESS_SECONDS = 10.0
KEPT_LOGS = ROOT / ".data" / "chaos"
LOOK_SECONDS = 1.0

_SPAWN = multiprocessing.get_context("spawn")


def quiet() -> None:
    """Say nothing of what our own program logs in this process; workers have their own logs."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def play_lane(seeds: Queue[int], results: Queue[tuple[int, Result]]) -> None:
    """Play seeds until there is none left, on a stage of its own."""
    _end_at_sigterm()
    quiet()
    prefix = "milkiyat-chaos-"
    with (
        tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name,
        open_stage(Path(name)) as stage,
    ):
        while True:
            try:
                seed = seeds.get(timeout=LOOK_SECONDS)
            except queue.Empty:
                return
            log = Path(name) / f"seed-{seed}.log"
            try:
                result = play(stage, plan(seed), log)
            except Exception:  # noqa: BLE001 (told as what came of the schedule)
                result = Result(Verdict(lost=[traceback.format_exc()]), 0.0)
            if not result.verdict.is_good and log.exists():
                KEPT_LOGS.mkdir(parents=True, exist_ok=True)
                shutil.move(log, KEPT_LOGS / log.name)
            log.unlink(missing_ok=True)
            results.put((seed, result))


@dataclass
class Tally:
    """What came of all schedules so far."""

    wanted: int
    began: float = field(default_factory=time.monotonic)
    played: int = 0
    lost: int = 0
    doubled: int = 0
    died_at: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    _told: float = 0.0

    def add(self, seed: int, result: Result) -> None:
        self.played += 1
        self.lost += len(result.verdict.lost)
        self.doubled += len(result.verdict.doubled)
        self.died_at += result.died_at
        self.met += result.met
        if not result.verdict.is_good:
            _tell_failure(seed, result)
        self._tell_progress()

    def _tell_progress(self) -> None:
        passed = time.monotonic() - self.began
        if passed - self._told > PROGRESS_SECONDS:
            self._told = passed
            left = passed / self.played * (self.wanted - self.played)
            print(
                f"{self.played} of {self.wanted} schedules in {passed:.0f} s, about {left:.0f} s"
                f" left; {self.lost} lost, {self.doubled} doubled",
                flush=True,
            )

    def tell(self) -> None:
        print("faults: " + ", ".join(f"{name} {n}" for name, n in sorted(self.met.items())))
        print("killed: " + ", ".join(f"{name} {n}" for name, n in sorted(self.died_at.items())))
        never = [name for name in POINTS if not self.died_at[name]]
        print("killed nowhere at: " + (", ".join(never) or "no point is left out"))
        seconds = time.monotonic() - self.began
        print(f"{seconds:.0f} s, {seconds / max(self.played, 1):.1f} s for each schedule")
        print(f"{self.played} schedules, {self.lost} lost, {self.doubled} doubled", flush=True)


def _tell_failure(seed: int, result: Result) -> None:
    print(f"\nFAILED. Again: SEED={seed} make chaos-operations; log: {KEPT_LOGS}/seed-{seed}.log")
    print(plan(seed))
    for what in result.verdict.lost:
        print(f"  lost: {what}")
    for what in result.verdict.doubled:
        print(f"  doubled: {what}")
    print(flush=True)


def _end_at_sigterm() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


def main() -> None:
    _end_at_sigterm()
    only = os.environ.get("SEED")
    count = int(os.environ.get("CHAOS_SCHEDULES", str(SCHEDULES)))
    wanted = [int(each) for each in only.split(",")] if only else list(range(1, count + 1))
    lanes = min(int(os.environ.get("CHAOS_LANES", str(LANES))), len(wanted))
    seeds: Queue[int] = _SPAWN.Queue()
    results: Queue[tuple[int, Result]] = _SPAWN.Queue()
    for seed in wanted:
        seeds.put(seed)
    processes = [
        _SPAWN.Process(target=play_lane, args=(seeds, results), name=f"lane {number}")
        for number in range(lanes)
    ]
    for process in processes:
        process.start()
    tally = Tally(len(wanted))
    try:
        while tally.played < len(wanted):
            try:
                tally.add(*results.get(timeout=LOOK_SECONDS))
            except queue.Empty:
                if not any(process.is_alive() for process in processes):
                    break
    except BaseException:
        # Each takes its node and its database down.
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.join()
    tally.tell()
    failed = tally.lost or tally.doubled or tally.played < len(wanted)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()

"""`make chaos-operations`: random schedules, each judged; the last line counts what went wrong.

Which and how many: see `tests.chaos.lanes`.
"""

from __future__ import annotations

import logging
import sys
import tempfile
import traceback
from collections import Counter
from multiprocessing.queues import Queue
from pathlib import Path

import structlog

from tests.chaos.judge import Verdict
from tests.chaos.lanes import (
    KEPT_LOGS,
    Progress,
    each_seed,
    end_at_sigterm,
    keep_log,
    named,
    play_side_by_side,
    wanted_seeds,
)
from tests.chaos.planning import plan
from tests.chaos.play import Result, play
from tests.chaos.schedule import POINTS
from tests.chaos.stage import open_stage


def quiet() -> None:
    """Say nothing of what our own program logs in this process; workers have their own logs."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def play_lane(seeds: Queue[int], results: Queue[tuple[int, Result]]) -> None:
    """Play seeds until there is none left, on a stage of its own."""
    end_at_sigterm()
    quiet()
    prefix = "milkiyat-chaos-"
    with (
        tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as name,
        open_stage(Path(name)) as stage,
    ):
        for seed in each_seed(seeds):
            log = Path(name) / f"seed-{seed}.log"
            try:
                result = play(stage, plan(seed), log)
            except Exception:  # noqa: BLE001 (told as what came of the schedule)
                result = Result(Verdict(lost=[traceback.format_exc()]), 0.0)
            keep_log(log, is_wanted=not result.verdict.is_good)
            results.put((seed, result))


class Tally:
    """What came of all schedules so far."""

    def __init__(self, wanted: int) -> None:
        self._progress = Progress(wanted)
        self._died_at: Counter[str] = Counter()
        self.lost = 0
        self.doubled = 0

    @property
    def _so_far(self) -> str:
        return f"{self.lost} lost, {self.doubled} doubled"

    def add(self, seed: int, result: Result) -> None:
        self._progress.add(result.met)
        self._died_at += result.died_at
        self.lost += len(result.verdict.lost)
        self.doubled += len(result.verdict.doubled)
        if not result.verdict.is_good:
            _tell_failure(seed, result)
        self._progress.tell_now_and_then(self._so_far)

    def tell(self) -> None:
        print("killed: " + named(self._died_at))
        self._progress.tell_faults([name for name in POINTS if not self._died_at[name]])
        self._progress.tell_end(self._so_far)


def _tell_failure(seed: int, result: Result) -> None:
    print(f"\nFAILED. Again: SEED={seed} make chaos-operations; log: {KEPT_LOGS}/seed-{seed}.log")
    print(plan(seed))
    for what in result.verdict.lost:
        print(f"  lost: {what}")
    for what in result.verdict.doubled:
        print(f"  doubled: {what}")
    print(flush=True)


def main() -> None:
    wanted = wanted_seeds()
    tally = Tally(len(wanted))
    was_all_played = play_side_by_side(play_lane, wanted, tally.add)
    tally.tell()
    sys.exit(0 if was_all_played and not tally.lost and not tally.doubled else 1)


if __name__ == "__main__":
    main()

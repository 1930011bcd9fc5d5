"""`make chaos-sync`: schedules of faults, and a cap table that is exact after each.

CHAOS_SCHEDULES says how many (500), CHAOS_FIRST with which seed they begin (1), SEED plays one
again, CHAOS_LANES how many are played side by side, each before a server of its own.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.queues import Queue
from pathlib import Path

import psycopg

from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres
from registry.kernel.settings import ROOT
from tests.chaos.sync.arena import open_arena
from tests.chaos.sync.play import Result, play
from tests.chaos.sync.schedule import FAILPOINTS, plan

SCHEDULES = 500
LANES = 2
PROGRESS_SECONDS = 10.0
LOOK_SECONDS = 1.0
KEPT_LOGS = ROOT / ".data" / "chaos"

_SPAWN = multiprocessing.get_context("spawn")


def play_lane(seeds: Queue[int], results: Queue[tuple[int, Result]]) -> None:
    """Play seeds until there is none left, before a server of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="milkiyat-chaos-", ignore_cleanup_errors=True) as name,
        EmbeddedPostgres(Path(name) / "postgres") as server,
    ):
        database = Database(server.start())
        _hurry(database)
        migrate.upgrade(database)
        with open_arena(database) as arena:
            while True:
                try:
                    seed = seeds.get(timeout=LOOK_SECONDS)
                except queue.Empty:
                    return
                log = Path(name) / f"sync-seed-{seed}.log"
                try:
                    result = play(arena, plan(seed), log)
                except Exception:  # noqa: BLE001 (told as what came of the schedule)
                    result = Result([traceback.format_exc()], Counter())
                if result.differs and log.exists():
                    KEPT_LOGS.mkdir(parents=True, exist_ok=True)
                    shutil.move(log, KEPT_LOGS / log.name)
                log.unlink(missing_ok=True)
                results.put((seed, result))


def _hurry(database: Database) -> None:
    """Let nothing survive a power cut: there is none among the faults."""
    with psycopg.connect(database.driver_url, autocommit=True) as admin:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            admin.execute(f"ALTER SYSTEM SET {setting} = off")
        admin.execute("SELECT pg_reload_conf()")


@dataclass
class Tally:
    """What came of all schedules so far."""

    wanted: int
    began: float = field(default_factory=time.monotonic)
    played: int = 0
    wrong: int = 0
    met: Counter[str] = field(default_factory=Counter)
    _told: float = 0.0

    def add(self, seed: int, result: Result) -> None:
        self.played += 1
        self.wrong += bool(result.differs)
        self.met += result.met
        if result.differs:
            print(f"\nDIFFERS. Again: SEED={seed} make chaos-sync; its log is in {KEPT_LOGS}")
            print(f"seed {seed}: {plan(seed)}")
            print("".join(f"  - {each}\n" for each in result.differs), flush=True)
        passed = time.monotonic() - self.began
        if passed - self._told > PROGRESS_SECONDS:
            self._told = passed
            left = passed / self.played * (self.wanted - self.played)
            print(
                f"{self.played} of {self.wanted} schedules in {passed:.0f} s, about {left:.0f} s"
                f" left; {self.wrong} differences",
                flush=True,
            )

    def tell(self) -> None:
        print("faults: " + ", ".join(f"{name} {n}" for name, n in sorted(self.met.items())))
        never = [name for name in FAILPOINTS if not any(name in each for each in self.met)]
        print("killed nowhere at: " + (", ".join(never) or "no point is left out"))
        seconds = time.monotonic() - self.began
        print(f"{seconds:.0f} s, {seconds / max(self.played, 1):.1f} s for each schedule")
        print(f"{self.played} schedules, {self.wrong} differences", flush=True)


def main() -> None:
    only = os.environ.get("SEED")
    first = int(only or os.environ.get("CHAOS_FIRST", "1"))
    count = 1 if only else int(os.environ.get("CHAOS_SCHEDULES", SCHEDULES))
    seeds: Queue[int] = _SPAWN.Queue()
    results: Queue[tuple[int, Result]] = _SPAWN.Queue()
    for seed in range(first, first + count):
        seeds.put(seed)
    lanes = min(int(os.environ.get("CHAOS_LANES", LANES)), count)
    # Not daemons: each has children of its own.
    processes = [_SPAWN.Process(target=play_lane, args=(seeds, results)) for _ in range(lanes)]
    for process in processes:
        process.start()
    tally = Tally(count)
    while tally.played < count:
        try:
            tally.add(*results.get(timeout=LOOK_SECONDS))
        except queue.Empty:
            if not any(process.is_alive() for process in processes):
                sys.exit(f"every lane has ended after {tally.played} of {count} schedules")
    for process in processes:
        process.join()
    tally.tell()
    sys.exit(1 if tally.wrong else 0)


if __name__ == "__main__":
    main()

"""`make chaos-sync`: schedules of faults, and a cap table that is exact after each.

Which and how many: see `tests.chaos.lanes`. Which faults: see `tests.chaos.sync.faults`; a whole
run must meet each of them.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections import Counter
from multiprocessing.queues import Queue
from pathlib import Path

import psycopg

from registry.kernel import migrate
from registry.kernel.db import Database
from registry.kernel.embedded import EmbeddedPostgres
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
from tests.chaos.sync.arena import open_arena
from tests.chaos.sync.faults import REQUIRED, WHOLE
from tests.chaos.sync.play import Result, play
from tests.chaos.sync.schedule import plan


def play_lane(seeds: Queue[int], results: Queue[tuple[int, Result]]) -> None:
    """Play seeds until there is none left, before a server of its own."""
    end_at_sigterm()
    with (
        tempfile.TemporaryDirectory(prefix="milkiyat-chaos-", ignore_cleanup_errors=True) as name,
        EmbeddedPostgres(Path(name) / "postgres") as server,
    ):
        database = Database(server.start())
        _hurry(database)
        migrate.upgrade(database)
        with open_arena(database) as arena:
            for seed in each_seed(seeds):
                log = Path(name) / f"sync-seed-{seed}.log"
                try:
                    result = play(arena, plan(seed), log)
                except Exception:  # noqa: BLE001 (told as what came of the schedule)
                    result = Result([traceback.format_exc()], Counter())
                keep_log(log, is_wanted=bool(result.differs))
                results.put((seed, result))


def _hurry(database: Database) -> None:
    """Let nothing survive a power cut: there is none among the faults."""
    with psycopg.connect(database.driver_url, autocommit=True) as admin:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            admin.execute(f"ALTER SYSTEM SET {setting} = off")
        admin.execute("SELECT pg_reload_conf()")


class Tally:
    """What came of all schedules so far."""

    def __init__(self, wanted: int) -> None:
        self._progress = Progress(wanted)
        self.wrong = 0

    @property
    def _so_far(self) -> str:
        return f"{self.wrong} differences"

    def add(self, seed: int, result: Result) -> None:
        self._progress.add(result.met)
        self.wrong += bool(result.differs)
        if result.differs:
            print(f"\nDIFFERS. Again: SEED={seed} make chaos-sync; its log is in {KEPT_LOGS}")
            print(f"seed {seed}: {plan(seed)}")
            print("".join(f"  - {each}\n" for each in result.differs), flush=True)
        self._progress.tell_now_and_then(self._so_far)

    def tell(self) -> None:
        print("faults: " + named(self._progress.met))
        print("never met: " + (", ".join(self.unmet()) or "no fault is left out"))
        self._progress.tell_end(self._so_far)

    def unmet(self) -> list[str]:
        """Name the faults of the list that no schedule has met."""
        return [name for name in REQUIRED if not self._progress.met[name]]


def main() -> None:
    wanted = wanted_seeds()
    tally = Tally(len(wanted))
    was_all_played = play_side_by_side(play_lane, wanted, tally.add)
    tally.tell()
    is_whole = len(wanted) < WHOLE or not tally.unmet()
    sys.exit(0 if was_all_played and not tally.wrong and is_whole else 1)


if __name__ == "__main__":
    main()

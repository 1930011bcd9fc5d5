"""`make race-offering`: RACE_BUYERS (1,000) buyers at one moment for half as many fractions.

Over HTTP, each on a connection of their own, against one PostgreSQL; paid twice each, and minted
on a real chain. Twice as it is, and once with the worker killed half way. The last line counts
what differs between what buyers were told, orders, money and tokens.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.chaos.lanes import end_at_sigterm
from tests.chaos.run import quiet
from tests.race.play import Result, play
from tests.race.stage import open_stage

BUYERS = int(os.environ.get("RACE_BUYERS", "1000"))
RACES = (False, False, True)
"""Whether the worker is killed."""


def run() -> list[Result]:
    results = []
    with tempfile.TemporaryDirectory(prefix="milkiyat-race-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)  # PostgreSQL's account enters it
        with open_stage(folder, buyers=BUYERS, offered=BUYERS // 2) as stage:
            for number, kill in enumerate(RACES, 1):
                result = play(stage, folder / f"worker-{number}.log", kill=kill)
                if kill and not result.killed:
                    result.outcome.differences.append("the worker was not killed")
                results.append(result)
                tell(number, result)
    return results


def tell(number: int, result: Result) -> None:
    killed = f"; worker killed {' and '.join(result.killed)}" if result.killed else ""
    print(f"race {number}: {result.outcome}, {result.seconds:.0f} s{killed}", flush=True)
    for what in result.outcome.differences:
        print(f"  differs: {what}", flush=True)


def main() -> None:
    end_at_sigterm()
    quiet()
    outcomes = [result.outcome for result in run()]
    differences = sum(len(outcome.differences) for outcome in outcomes)
    last = outcomes[-1]
    print(
        f"{last.buyers} buyers, {last.sold} sold, {last.refused} refused, {differences} differences"
    )
    sys.exit(1 if differences else 0)


if __name__ == "__main__":
    main()

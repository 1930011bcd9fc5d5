"""What every contender of `make bench-sync` is told, and what it says at its end."""

from __future__ import annotations

import json
import os
import resource
import sys
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Task:
    """One sync from an empty database.

    Parameters
    ----------
    database
        URL of a database of this run's own, as psycopg reads it.
    token
        0x-hex.
    """

    url: str
    database: str
    token: str
    chain_id: int
    deployed_at: int
    head: int
    events: int


def read_task() -> Task:
    return Task(**json.loads(sys.argv[1]))


def arguments(task: Task) -> str:
    return json.dumps(asdict(task))


def report(seconds: float) -> None:
    """Say how long it took, and how much memory this process ever had.

    Parameters
    ----------
    seconds
        From the first request to the last COMMIT; imports and the interpreter's start are left
        out for every contender alike.
    """
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mib = peak / 1024 if sys.platform != "darwin" else peak / 2**20
    # The last thing said, and nothing after it: exit handlers are nobody's figure.
    print(json.dumps({"seconds": seconds, "rss_mib": mib}), flush=True)
    os._exit(0)

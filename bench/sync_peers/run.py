"""What every contender of `make bench-sync` is told, and what it says at its end."""

from __future__ import annotations

import json
import os
import re
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path


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
    # The last thing said, and nothing after it: exit handlers are nobody's figure.
    print(json.dumps({"seconds": seconds, "rss_mib": _peak_mib()}), flush=True)
    os._exit(0)


def _peak_mib() -> float:
    """Tell how much memory this process ever had.

    Linux counts to `ru_maxrss` what the process had before it became this program: a copy of the
    bench, with the whole chain that it may just have made.
    """
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    peak = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert peak is not None, "Linux tells each process its peak"
    return int(peak[1]) / 1024

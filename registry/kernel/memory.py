"""How much memory the embedded server may use for itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

LEAST_MB: Final = 128
MOST_MB: Final = 1024
SHARE: Final = 8

CONTAINER_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


def buffers_mb(limit: Path = CONTAINER_LIMIT) -> int:
    """Give an eighth of the memory, in MB, but neither too little to work with nor all there is.

    A cap table of a million holders is 140 MB that a reorg touches all over. What is not used is
    not taken either: the system gives each page when it is first written to.

    Parameters
    ----------
    limit
        Where a container says how much memory it may use.
    """
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        told = limit.read_text().strip()
    except OSError:
        told = "max"  # none, or a system that tells it elsewhere
    if told.isdecimal():
        memory = min(memory, int(told))
    return max(LEAST_MB, min(MOST_MB, memory // 2**20 // SHARE))

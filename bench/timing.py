"""How long calls take."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

Item = TypeVar("Item")
WARM_UP = 100


def p99_ms(call: Callable[[Item], object], items: Sequence[Item]) -> float:
    """Call for each item, and return the 99th percentile in milliseconds; the first warm up."""
    for item in items[:WARM_UP]:
        call(item)
    taken = []
    for item in items:
        started = time.perf_counter()
        call(item)
        taken.append(time.perf_counter() - started)
    return percentile(taken, 99) * 1000


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the smallest value that so many percent do not pass (nearest rank)."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]

"""Waking one loop from another."""

from __future__ import annotations

import threading
import time

STOP_SECONDS = 0.5
"""The longest that a sleeping loop does not notice that it shall stop."""


class Bell:
    """Ends the sleep of a loop; rung while the loop works, it ends the next one at once.

    Parameters
    ----------
    stop
        Ends every sleep.
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._rung = threading.Event()

    def ring(self) -> None:
        """Have the loop look."""
        self._rung.set()

    def wait(self, seconds: float) -> None:
        """Sleep until it is rung, or the time is up."""
        deadline = time.monotonic() + seconds
        while not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
            if self._rung.wait(min(left, STOP_SECONDS)):
                break
        # Before anybody looks: what is rung for from now on is looked at after that.
        self._rung.clear()

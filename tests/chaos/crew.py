"""The workers of one schedule: started, killed, and started again as a supervisor does."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import replace
from multiprocessing.context import ForkServerProcess
from signal import SIGKILL

from tests.chaos.contender import Orders, start

STOP_SECONDS = 60.0


class Crew:
    """Keeps so many workers alive.

    Parameters
    ----------
    orders
        What each is started with; the failpoints come from `failpoints`.
    failpoints
        The next worker to start dies of the next of them.
    """

    def __init__(self, orders: Orders, size: int, failpoints: tuple[str, ...]) -> None:
        self._orders = orders
        self._failpoints = deque(failpoints)
        self._size = size
        self._alive: list[tuple[ForkServerProcess, str | None]] = []
        self.died_at: Counter[str] = Counter()
        """Failpoints that were reached, by name."""
        self.troubles: list[str] = []
        """Workers that ended by themselves, which none should."""

    def tend(self) -> None:
        """Replace whoever is dead."""
        for process, failpoint in list(self._alive):
            if process.exitcode is not None:
                self._alive.remove((process, failpoint))
                self._note(process, failpoint)
                process.close()
        while len(self._alive) < self._size:
            failpoint = self._failpoints.popleft() if self._failpoints else None
            started = start(replace(self._orders, failpoint=failpoint))
            self._alive.append((started, failpoint))

    def stop_one(self, number: int, *, gently: bool) -> None:
        if not self._alive:
            return
        process, _ = self._alive.pop(number % len(self._alive))
        _end(process, gently=gently)

    def kill_all(self) -> None:
        for process, _ in self._alive:
            _end(process, gently=False)
        self._alive.clear()

    def heal(self) -> None:
        """Give everybody a place without failpoint."""
        self._failpoints.clear()
        armed = [each for each in self._alive if each[1] is not None]
        for process, failpoint in armed:
            self._alive.remove((process, failpoint))
            process.kill()
            process.join()
            process.close()

    def stop_all(self) -> None:
        """Tell all of them to end, and note who does not."""
        for process, _ in self._alive:
            process.terminate()
        for process, _ in self._alive:
            process.join(STOP_SECONDS)
            if process.exitcode is None:
                self.troubles.append("a worker did not end when it was told to")
                process.kill()
                process.join()
            process.close()
        self._alive.clear()

    def _note(self, process: ForkServerProcess, failpoint: str | None) -> None:
        if process.exitcode == -SIGKILL and failpoint is not None:
            self.died_at[failpoint.partition(":")[0]] += 1
        else:
            self.troubles.append(f"a worker ended by itself with {process.exitcode}")


def _end(process: ForkServerProcess, *, gently: bool) -> None:
    if gently:
        process.terminate()
        process.join(STOP_SECONDS)
    process.kill()
    process.join()
    process.close()

"""The process that follows the chain in `make duel-reorg`, and how it comes to its end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess

from bench.duel_contender import follow

DEATH_SECONDS = 60.0

# Forked from a server that has loaded everything once: it takes seconds, and forty are started.
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["bench.duel_contender", "bench.duel_ring", "api.starting"])


@dataclass(frozen=True, slots=True)
class Follower:
    """The sync, in a process of its own.

    Parameters
    ----------
    start_seconds
        What it took before it began.
    began_at
        When it began, by `time.perf_counter`.
    is_armed
        It kills itself at a point of following a reorg.
    """

    process: ForkServerProcess
    start_seconds: float
    began_at: float
    is_armed: bool

    @contextmanager
    def held_still(self) -> Iterator[None]:
        """Stop it meanwhile, so that it sees all at once of what happens."""
        self._send(signal.SIGSTOP)
        try:
            yield
        finally:
            self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def require_killed(self, failpoint: str) -> None:
        """Wait until it has killed itself.

        Raises
        ------
        SystemExit
            It did not come to the point, or ended otherwise.
        """
        self.process.join(DEATH_SECONDS)
        code = self.process.exitcode
        if code is None:
            sys.exit(f"the sync did not come to {failpoint} in {DEATH_SECONDS:.0f} s")
        if code != -signal.SIGKILL:
            sys.exit(f"the sync ended with {code} instead of being killed at {failpoint}")


@contextmanager
def following(failpoint: str | None = None) -> Iterator[Follower]:
    """Run the sync; in the end it is killed, as by kill -9.

    Parameters
    ----------
    failpoint
        Where it kills itself before that, see `registry.kernel.failpoints`.

    Raises
    ------
    SystemExit
        It did not begin.
    """
    begun, begins = _FORKS.Pipe(duplex=False)
    started = time.perf_counter()
    process = _FORKS.Process(target=follow, args=(begins, failpoint), daemon=True)
    process.start()
    begins.close()
    try:
        began = begun.recv()
        yield Follower(process, began - started, began, bool(failpoint))
    except EOFError:
        process.join()
        sys.exit(f"the sync ended with {process.exitcode} before it began")
    finally:
        process.kill()
        process.join()
        begun.close()

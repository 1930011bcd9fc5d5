"""The loop that proves the projection, beside the one that reads the chain.

A proof of many holders takes longer than a block is to take until it is visible.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from chain.bell import Bell
from chain.errors import RpcRefused
from chain.proving.reconciler import Reconciler

SWEEP_SECONDS = 0.05
"""Between two slices of the sweep: others ask the same node."""

PROOF_REST = 4
"""So many times as long as a proof took, the node is left to others: a fifth of the time at most.
While a sale is minted every block changes a hundred holders, and what has changed meanwhile is
proven at once afterwards, for less."""

LONGEST_REST_SECONDS = 5.0
"""However long a proof of everybody took: a difference stops payouts, and had better be found."""

REST_SECONDS = 1.0
"""How often it is looked whether a sweep is due."""


class Proving:
    """Takes turns of the reconciler while the sync is at the head.

    Parameters
    ----------
    stop
        Ends every sleep.
    """

    def __init__(self, reconciler: Reconciler, stop: threading.Event) -> None:
        self._reconciler = reconciler
        self._bell = Bell(stop)
        self._is_at_head = False
        self._rests_until = 0.0

    def leave_head(self) -> None:
        """Take note that there is more to read, or somebody else reads: proofs wait."""
        self._is_at_head = False

    def reach_head(self) -> None:
        """Prove what has changed on the way here."""
        if not self._is_at_head:
            self._is_at_head = True
            self._bell.ring()

    @contextmanager
    def in_doubt(self) -> Iterator[None]:
        """Leave the head where a turn of the sync fails: it may be no head, or not of our chain.

        What the node refuses leaves it: one contract may be refused for long, and all others are
        proven meanwhile.
        """
        try:
            yield
        except RpcRefused:
            raise
        except BaseException:
            self.leave_head()
            raise

    def turn(self) -> float:
        """Prove what is due, and give the seconds to wait before the next turn."""
        started = time.monotonic()
        if started < self._rests_until:
            return self._rests_until - started
        if not self._is_at_head or not self._reconciler.reconcile_due():
            return REST_SECONDS
        took = time.monotonic() - started
        rest = max(SWEEP_SECONDS, min(PROOF_REST * took, LONGEST_REST_SECONDS))
        self._rests_until = started + took + rest
        return rest

    def wait(self, seconds: float) -> None:
        self._bell.wait(seconds)

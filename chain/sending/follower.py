"""The loop that follows what was sent, beside the one that sends."""

from __future__ import annotations

import threading
import time

from chain.bell import Bell
from chain.errors import ChainError
from chain.node.client import ChainClient
from chain.sending.tracker import Tracker

BUSY_SECONDS = 0.5
"""The longest that it waits for a block while something is on its way."""

HEAD_SECONDS = 0.02
"""How often it then looks whether there is one: a halt is final that much later at most."""

REST_SECONDS = 15.0
"""How often it looks whether a worker that died has left anything on its way."""


class Follower:
    """Takes turns of the tracker whenever there is something to follow, and a block for it.

    Parameters
    ----------
    stop
        Ends every sleep.
    """

    def __init__(self, client: ChainClient, tracker: Tracker, stop: threading.Event) -> None:
        self._client = client
        self._tracker = tracker
        self._stop = stop
        self.bell = Bell(stop)
        """Rung by whoever has broadcast something."""

    def turn(self) -> float:
        """Look at everything on its way once.

        Returns
        -------
        float
            Seconds to wait before the next turn.

        Raises
        ------
        WrongChain, RpcUnavailable
            On another chain everything would look unmined.
        """
        self._client.check()
        if self._tracker.follow():
            return 0.0
        return BUSY_SECONDS if self._tracker.is_following else REST_SECONDS

    def wait(self, seconds: float) -> None:
        """Wait for a block while something is on its way; else until the bell rings."""
        if not self._tracker.is_following:
            self.bell.wait(seconds)
            return
        deadline, height = time.monotonic() + seconds, self._height()
        while not self._stop.is_set() and (left := deadline - time.monotonic()) > 0:
            self._stop.wait(min(left, HEAD_SECONDS))
            if self._height() != height:
                return

    def _height(self) -> int:
        try:
            return self._client.block_number()
        except ChainError:
            # The next turn meets the fault, tells it, and waits it out.
            return -1

"""When an empty block is due, so that what was mined becomes final though nothing follows it."""

from __future__ import annotations

import time
from typing import Final

from chain.embedded.anvil import Anvil

# Beside blocks that come one by one, our own take a tenth of the time: anvil goes through its
# whole state for each, 127 ms at 10,000 holders, and what is sent meanwhile buries as well.
BLOCK_REST: Final = 9
LONGEST_REST_SECONDS: Final = 10.0


class Burial:
    """Looks at the height of one chain at each heartbeat."""

    def __init__(self) -> None:
        self._seen: int | None = None
        self._rests_until = 0.0

    def is_due(self, height: int) -> bool:
        """Tell whether the newest block may be buried now.

        Where several came since the last look, more will come, upon these; where none came,
        nothing is delayed by another one.
        """
        came = 0 if self._seen is None else height - self._seen
        self._seen = height
        if came > 1:
            return False
        return not came or time.monotonic() >= self._rests_until

    def mine(self, node: Anvil) -> None:
        """Mine an empty block."""
        started = time.monotonic()
        node.call("evm_mine")
        ended = time.monotonic()
        self._rests_until = ended + min(BLOCK_REST * (ended - started), LONGEST_REST_SECONDS)
        if self._seen is not None:
            self._seen += 1

"""How many blocks to ask for at once: by what the last answers held, and what was refused."""

from __future__ import annotations

FIRST_BLOCKS = 100
MOST_BLOCKS = 10_000
WANTED_LOGS = 24_000
"""About 15 MB of JSON: large enough to fill a COPY, small enough that four fit into memory."""
GROWTH = 8


class Pace:
    """The width of the next range.

    Nodes word it differently when a range is too wide, so every refusal narrows; what was
    refused is come back to slowly, since another stretch of the chain may be emptier.
    """

    def __init__(self) -> None:
        self.blocks = FIRST_BLOCKS
        self._limit = MOST_BLOCKS

    def answered(self, blocks: int, logs: int) -> None:
        """Note that a range of `blocks` held so many logs."""
        self._limit = min(self._limit + max(self._limit // GROWTH, 1), MOST_BLOCKS)
        wanted = blocks * WANTED_LOGS // max(logs, 1)
        self.blocks = max(min(wanted, blocks * GROWTH, self._limit), 1)

    def refused(self, blocks: int) -> None:
        """Note that a range of `blocks` was refused, was too much, or did not arrive."""
        self._limit = max(min(self.blocks, blocks) // 2, 1)
        self.blocks = self._limit

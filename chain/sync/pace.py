"""How many blocks to ask for at once: by what the last answers held, and what was refused."""

from __future__ import annotations

import structlog

from chain.errors import RpcRefused

log = structlog.get_logger()

FIRST_BLOCKS = 100
MOST_BLOCKS = 10_000
WANTED_LOGS = 48_000
"""About 15 MB of JSON: large enough to fill a COPY, small enough that four fit into memory."""
PIECE_LOGS = 1_500
"""About 1 MB of JSON: what the node writes and we read of it stays in the processor's cache."""
GROWTH = 8


class Pace:
    """The width of the next range.

    Nodes word it differently when a range is too wide, so every refusal narrows; what was
    refused is come back to slowly, since another stretch of the chain may be emptier.
    """

    def __init__(self) -> None:
        self.blocks = FIRST_BLOCKS
        self._limit = MOST_BLOCKS
        self._logs_per_block: float | None = None

    @property
    def step(self) -> int | None:
        """Blocks of which to ask for the logs at once; None while that is not known."""
        if self._logs_per_block is None:
            return None
        return max(int(PIECE_LOGS / max(self._logs_per_block, PIECE_LOGS / MOST_BLOCKS)), 1)

    def answered(self, blocks: int, logs: int) -> None:
        """Note that a range of `blocks` held so many logs."""
        self._limit = min(self._limit + max(self._limit // GROWTH, 1), MOST_BLOCKS)
        self._logs_per_block = logs / blocks
        wanted = blocks * WANTED_LOGS // max(logs, 1)
        self.blocks = max(min(wanted, blocks * GROWTH, self._limit), 1)

    def refused(self, blocks: int) -> None:
        """Note that a range of `blocks` was refused, was too much, or did not arrive."""
        self._limit = max(min(self.blocks, blocks) // 2, 1)
        self.blocks = self._limit

    def halve(self, blocks: int, refused: RpcRefused) -> None:
        """Narrow what was refused; a single block cannot be, and its refusal is raised again.

        Too many results, too wide a range: nodes word it differently, halving cures it.

        Raises
        ------
        RpcRefused
            The one that is given.
        """
        self.refused(blocks)
        if blocks == 1:
            raise refused
        log.info("range_halved", blocks=self.blocks, reason=refused.message)

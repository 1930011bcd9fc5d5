"""How many blocks to ask for at once: by what the last answers held, and what was refused."""

from __future__ import annotations

from typing import NamedTuple

import structlog

from chain.errors import RpcRefused

log = structlog.get_logger()

FIRST_BLOCKS = 100
MOST_BLOCKS = 10_000
WANTED_LOGS = 48_000
"""Who moves in a range has one row to store, however often: a wide one stores fewer (ADR 0041)."""
PIECE_LOGS = 1_500
"""About 1 MB of JSON: what the node writes and we read of it stays in the processor's cache."""
FAR_LOGS = 16_000
"""About 10 MB of JSON: few round trips, and what arrives at once fits into memory four times."""
GROWTH = 8


class Steps(NamedTuple):
    """How many blocks are asked for at once of a node that is near, and of one that is far."""

    near: int
    far: int


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
    def steps(self) -> Steps | None:
        """Of how many blocks to ask for the logs at once; None while that is not known."""
        if self._logs_per_block is None:
            return None
        return Steps(self._blocks_of(PIECE_LOGS), self._blocks_of(FAR_LOGS))

    def _blocks_of(self, logs: int) -> int:
        return max(int(logs / max(self._logs_per_block or 0, logs / MOST_BLOCKS)), 1)

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

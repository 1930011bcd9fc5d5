"""The branch that takes the place of blocks that were taken back, read before they are.

It is applied in the transaction that takes the old branch back, so that no reader ever sees a chain
that is shorter than it was: see ADR 0005.
"""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
import structlog
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session

from chain.errors import ChainError
from chain.node.client import Block
from chain.sync.decode import UndecodableLog
from chain.sync.pace import Steps
from chain.sync.ranges import RangeReader, ReadRange
from chain.sync.suites import SuiteChanges
from chain.sync.watched import Watched, read_watched
from registry.captable import catching_up, projection
from registry.captable.events import ProjectedBlock
from registry.captable.sums import SumDiffers

log = structlog.get_logger()

MOST_BLOCKS = 1_000
"""Of a longer branch the rest follows range by range, as behind any other block."""


@dataclass(frozen=True, slots=True)
class NewBranch:
    """What stands above the common ancestor now.

    Parameters
    ----------
    watched
        Whose logs were read.
    """

    ancestor: ProjectedBlock
    watched: Watched
    read: ReadRange

    def apply(self, session: Session, chain_id: int) -> bool:
        """Apply it where the old branch was just taken back.

        Returns
        -------
        bool
            False where nothing was applied: the old branch had changed whose logs are read, or
            what the new one says cannot be. Both are seen to when the chain is read on.
        """
        after = (self.ancestor.number, self.ancestor.hash)
        if read_watched(session, chain_id) != self.watched:
            reason = "the old branch had changed whose logs are read"
            log.info("new_branch_later", first=after[0] + 1, reason=reason)
            return False
        try:
            with session.begin_nested():
                projection.apply_range(session, chain_id, after=after, found=self.read.found)
        except SumDiffers as wrong:
            log.info("new_branch_later", first=after[0] + 1, reason=str(wrong))
            return False
        except (DBAPIError, psycopg.Error) as fault:
            if not catching_up.is_impossible(fault):
                raise
            log.info("new_branch_later", first=after[0] + 1, reason=str(fault).strip())
            return False
        return True


def read_branch(
    reader: RangeReader,
    watched: Watched,
    ancestor: ProjectedBlock,
    head: Block,
    steps: Steps | None,
) -> NewBranch | None:
    """Read what stands above the ancestor.

    Parameters
    ----------
    steps
        See `chain.sync.ranges.RangeReader.read`.

    Returns
    -------
    NewBranch or None
        None where nothing does, or the node does not tell it so: the blocks below are taken back
        all the same, and whoever reads on finds out, by narrower ranges.
    """
    first = ancestor.number + 1
    last = min(ancestor.number + MOST_BLOCKS, head.number)
    if last < first:
        return None
    try:
        read = reader.read(watched, first, last, head.number, steps=steps)
    except (ChainError, UndecodableLog, SuiteChanges) as fault:
        log.info("new_branch_later", first=first, last=last, reason=str(fault))
        return None
    follows = read.first.parent_hash == ancestor.hash
    return NewBranch(ancestor, watched, read) if follows else None

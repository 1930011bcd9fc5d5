"""The block of which an answer speaks, and the branch of it where a reorg has taken it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from registry.captable.models import EventKind
from registry.captable.orphans import OrphanBlock

_FROZEN = {EventKind.TOKENS_FROZEN: 1, EventKind.TOKENS_UNFROZEN: -1}


class Step(NamedTuple):
    """What a block changed of one holder.

    Parameters
    ----------
    log_index, tx_hash
        Of the last event that did.
    units
        By so much the balance is more at the block's end; negative what it is less.
    """

    number: int
    log_index: int
    mined_at: datetime
    tx_hash: bytes
    units: int


@dataclass(frozen=True, slots=True)
class LostBranch:
    """Blocks that we believed in at a moment, and have lost since.

    Parameters
    ----------
    kept : int
        The highest block of that branch which is still the chain's.
    blocks
        Those above it, up to the one that is looked at; ascending.
    """

    kept: int
    blocks: Sequence[OrphanBlock]

    def events(self, token_no: int | None) -> Iterator[dict[str, Any]]:
        """Give what the blocks said of a token, in the order of the chain."""
        for block in self.blocks:
            yield from (event for event in block.events if event["token_no"] == token_no)

    def contract_events(self) -> Iterator[dict[str, Any]]:
        """Give what contracts said in them that are no token's, in the order of the chain."""
        for block in self.blocks:
            yield from block.contract_events

    def changes(self, token_no: int | None) -> dict[int, tuple[int, int]]:
        """Give what each holder's balance and frozen part are by these blocks, more or less."""
        changes: dict[int, tuple[int, int]] = {}
        for event in self.events(token_no):
            for holder, balance, frozen in changes_by(event):
                had = changes.get(holder, (0, 0))
                changes[holder] = (had[0] + balance, had[1] + frozen)
        return changes

    def freezes(self, token_no: int | None) -> dict[int, bool]:
        """Give of each holder whom these blocks froze or freed as a whole which came last."""
        return {
            event["target"]: bool((event["extra"] or {}).get("frozen"))
            for event in self.events(token_no)
            if event["kind"] == EventKind.ADDRESS_FROZEN
        }

    def moved(self) -> set[tuple[int, int]]:
        """Give token and holder of everything that the blocks changed."""
        return {
            (event["token_no"], holder)
            for block in self.blocks
            for event in block.events
            for holder, _, _ in changes_by(event)
        }

    def steps(self, token_no: int | None) -> dict[int, list[Step]]:
        """Give the blocks in which something of each holder changed, ascending."""
        steps: dict[int, list[Step]] = {}
        for block in self.blocks:
            for event in block.events:
                if event["token_no"] == token_no:
                    for holder, balance, _ in changes_by(event):
                        known = steps.setdefault(holder, [])
                        is_again = bool(known) and known[-1].number == block.number
                        before = known.pop().units if is_again else 0
                        tx_hash = bytes.fromhex(event["tx_hash"])
                        place = (block.number, event["log_index"], block.mined_at)
                        known.append(Step(*place, tx_hash, before + balance))
        return steps

    def minted(self, token_no: int | None) -> int:
        """Give by how many units the supply is larger for these blocks."""
        return sum(
            units_of(event) * ((event["source"] is None) - (event["target"] is None))
            for event in self.events(token_no)
            if event["kind"] == EventKind.TRANSFER
        )


@dataclass(frozen=True, slots=True)
class AsOfBlock:
    """The block of which an answer speaks.

    Parameters
    ----------
    confirmations : int
        Blocks on top of it that we know of.
    is_orphaned : bool
        Whether a reorg has taken it since.
    lost
        Then the branch up to it, where the answer is what we knew of it.
    degraded : str or None
        Why what we tell of it is not to be relied on; None where it is.
    """

    number: int
    hash: bytes
    mined_at: datetime
    confirmations: int
    is_orphaned: bool = False
    lost: LostBranch | None = None
    degraded: str | None = None

    @property
    def kept(self) -> int:
        """The number of the block up to which today's tables speak of it."""
        return self.number if self.lost is None else self.lost.kept


def units_of(event: dict[str, Any]) -> int:
    """Give the units of an event as an orphan keeps it; no JSON number holds all of them."""
    return int(event["units"] or 0)


def changes_by(event: dict[str, Any]) -> Iterator[tuple[int, int, int]]:
    """Give holder, balance and frozen part that an event adds; negative what it takes."""
    kind, units = event["kind"], units_of(event)
    if kind == EventKind.TRANSFER:
        if event["source"] is not None:
            yield event["source"], -units, 0
        if event["target"] is not None:
            yield event["target"], units, 0
    elif kind in _FROZEN:
        yield event["target"], 0, units * _FROZEN[kind]

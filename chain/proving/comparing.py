"""Finding the first block of which events are kept otherwise than the chain logs them."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from chain.errors import RpcRefused
from chain.node.client import ChainClient
from chain.sync.pace import Pace
from chain.sync.pasts import Pasts
from chain.sync.ranges import RangeReader
from chain.sync.watched import Watched
from registry.captable.events import ProjectedRange


class Said(Hashable, Protocol):
    """What is compared of an event."""

    @property
    def block_number(self) -> int: ...

    @property
    def log_index(self) -> int: ...


Compared = TypeVar("Compared", bound=Said)


Kept = Callable[[int, int], tuple[Watched, AbstractSet[Compared]]]
Told = Callable[[ProjectedRange, AbstractSet[Compared]], AbstractSet[Compared]]


@dataclass(frozen=True, slots=True)
class Wrong(Generic[Compared]):
    """One place of the chain at which an event is kept otherwise than it was logged.

    Parameters
    ----------
    ours, theirs
        What is kept and what was logged; None where there is none.
    """

    block_number: int
    log_index: int
    ours: Compared | None
    theirs: Compared | None


def wrong_events(
    client: ChainClient,
    number: int,
    *,
    kept: Kept[Compared],
    told: Told[Compared],
) -> list[Wrong[Compared]]:
    """Give the events of one block that are kept wrongly, in the order of the chain."""
    watched, stored = kept(number, number)
    reader = RangeReader(client, Pasts(client, turn_seconds=math.inf).told)
    logged = told(reader.read(watched, number, number, number).found, stored)
    ours = {(entry.block_number, entry.log_index): entry for entry in stored - logged}
    theirs = {(entry.block_number, entry.log_index): entry for entry in logged - stored}
    return [
        Wrong(*place, ours.get(place), theirs.get(place))
        for place in sorted(ours.keys() | theirs.keys())
    ]


def first_wrong_block(
    client: ChainClient,
    blocks: range,
    *,
    kept: Kept[Compared],
    told: Told[Compared],
    on_right: Callable[[int], object] = lambda _: None,
) -> int | None:
    """Read the logs of `blocks` again; return the first block of which the events differ.

    Parameters
    ----------
    kept
        From the first to the last of some blocks: whose logs are read, and what is kept of them.
    told
        The same of what was read; where that cannot tell, what is kept stands.
    on_right
        Told of each block up to which all is right.

    Raises
    ------
    RpcRefused
        The node does not have the logs of a block any more.
    """
    pasts, pace = Pasts(client, turn_seconds=math.inf), Pace()
    reader = RangeReader(client, pasts.told)
    place, end = blocks.start - 1, blocks.stop - 1
    while place < end:
        last = min(place + pace.blocks, end)
        watched, stored = kept(place + 1, last)
        try:
            read = reader.read(watched, place + 1, last, end)
        except RpcRefused as refused:
            pace.halve(last - place, refused)
            continue
        if wrong := told(read.found, stored) ^ stored:
            return min(entry.block_number for entry in wrong)
        pasts.forget_all()
        pace.answered(last - place, read.logs)
        on_right(last)
        place = last
    return None

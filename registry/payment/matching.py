"""Which of what is told is known already: matched as a multiset, by all that both sides tell. Pure.

A bank's reference names a movement for most banks; some use one twice, and some only number what
stands in a statement. So what is told of a reference is held against all that is known of it:
each movement is known once, whatever file it comes in and in whatever order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

_ALL = 3


@dataclass(frozen=True, slots=True)
class Facts:
    """What is told of one movement; of what is not told, a set is empty.

    Parameters
    ----------
    orders
        References of orders that its words may mean.
    days
        On which the bank booked it, as statements say.
    own
        A reversal's own reference.
    """

    amount_paisa: int
    orders: frozenset[str] = frozenset()
    days: frozenset[date] = frozenset()
    own: frozenset[str] = frozenset()

    def nearness(self, other: Facts) -> int | None:
        """Count the facts that both tell alike; None where they contradict each other."""
        if self.amount_paisa != other.amount_paisa:
            return None
        shared = 0
        sides = ((self.orders, other.orders), (self.days, other.days), (self.own, other.own))
        for mine, theirs in sides:
            if not mine or not theirs:
                continue
            if mine.isdisjoint(theirs):
                return None
            shared += 1
        return shared


def match(told: Sequence[Facts], known: Sequence[Facts]) -> list[int | None]:
    """Give for each that is told the index of what it is; each is one thing at most.

    As many as can be are matched (an augmenting path moves what could be another, too), and
    those first of which most is told alike. Equal ones go in their order.
    """
    pairing = _Pairing(told, known)
    for least in range(_ALL, -1, -1):
        held = set(pairing.holder.values())
        for line in range(len(told)):
            if line not in held:
                pairing.place(line, least, set())
    found: list[int | None] = [None] * len(told)
    for index, line in pairing.holder.items():
        found[line] = index
    return found


class _Pairing:
    def __init__(self, told: Sequence[Facts], known: Sequence[Facts]) -> None:
        self._told, self._known = told, known
        self.holder: dict[int, int] = {}
        """Which line each known one is."""
        self._near: list[list[tuple[int, int]]] = []
        """Of each line, what it may be and how many facts speak for it, most first."""
        for line in told:
            near = [(line.nearness(one), index) for index, one in enumerate(known)]
            some = [(shared, index) for shared, index in near if shared is not None]
            self._near.append(sorted(some, key=lambda edge: -edge[0]))

    def place(self, line: int, least: int, seen: set[tuple[Facts, Facts]]) -> bool:
        """Find a line its place, moving others to where they may be, too."""
        may_be = [index for shared, index in self._near[line] if shared >= least]
        for index in may_be:
            if index not in self.holder:
                self.holder[index] = line
                return True
        for index in may_be:
            # Equal things that equal lines hold lead no further than one of them does.
            pair = (self._known[index], self._told[self.holder[index]])
            if pair not in seen:
                seen.add(pair)
                if self.place(self.holder[index], least, seen):
                    self.holder[index] = line
                    return True
        return False

"""Which of what is told is known already: matched as a multiset, by all that both sides tell. Pure.

A bank's reference names a movement for most banks; some use one twice, and some only number what
stands in a statement. So what is told of a reference is held against all that is known of it:
each movement is known once, whatever file it comes in and in whatever order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

_NAMES = ("orders", "days", "own")
_ALL = len(_NAMES)
_LEAST = -1


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
    used_for
        The order that a payment was used for though its words do not name it. Other words do not
        contradict what a person decided: it may still be the same movement, if nothing is nearer.
    """

    amount_paisa: int
    orders: frozenset[str] = frozenset()
    days: frozenset[date] = frozenset()
    own: frozenset[str] = frozenset()
    used_for: frozenset[str] = frozenset()

    def nearness(self, known: Facts) -> int | None:
        """Count the facts that both tell alike; None where they contradict each other.

        One less where it was used for another order than the one that is told now.
        """
        if self.amount_paisa != known.amount_paisa:
            return None
        shared = 0
        is_used_for = not self.orders.isdisjoint(known.used_for)
        for name in _NAMES:
            mine, theirs = getattr(self, name), getattr(known, name)
            if name == "orders" and is_used_for:
                shared += 1
            elif mine and theirs:
                if mine.isdisjoint(theirs):
                    return None
                shared += 1
        is_used_otherwise = self.orders and known.used_for and not known.orders and not is_used_for
        return shared - 1 if is_used_otherwise else shared


def match(told: Sequence[Facts], known: Sequence[Facts]) -> list[int | None]:
    """Give for each that is told the index of what it is; each is one thing at most.

    As many as can be are matched (an augmenting path moves what could be another, too), and
    those first of which most is told alike. Equal ones go in their order.
    """
    found: list[int | None] = [None] * len(told)
    for lines, ones in _by_amount(told, known):
        pairing = _Pairing(told, known, lines, ones)
        for line, index in pairing.matched().items():
            found[line] = index
    return found


def _by_amount(
    told: Sequence[Facts], known: Sequence[Facts]
) -> Iterator[tuple[list[int], list[int]]]:
    """Give apart what cannot be the same: the indices of both sides of each amount."""
    ones: dict[int, list[int]] = {}
    for index, one in enumerate(known):
        ones.setdefault(one.amount_paisa, []).append(index)
    lines: dict[int, list[int]] = {}
    for line, facts in enumerate(told):
        if facts.amount_paisa in ones:
            lines.setdefault(facts.amount_paisa, []).append(line)
    for amount, some in lines.items():
        yield some, ones[amount]


class _Pairing:
    """The lines of one amount, and the known ones of it."""

    def __init__(
        self,
        told: Sequence[Facts],
        known: Sequence[Facts],
        lines: Sequence[int],
        ones: Sequence[int],
    ) -> None:
        self._told, self._known = told, known
        self._lines, self._ones = lines, ones
        self._index_of: dict[int, int] = {}
        self._line_of: dict[int, int] = {}
        self._near: dict[int, list[tuple[int, int]]] = {}
        """Of each line, what it may be and how many facts speak for it, most first."""

    def matched(self) -> Mapping[int, int]:
        """Return what each line is, of those that are anything."""
        same = self._same()
        lines = [line for line in self._lines if line not in same]
        taken = set(same.values())
        ones = [index for index in self._ones if index not in taken]
        for line in lines:
            facts = self._told[line]
            near = [(facts.nearness(self._known[index]), index) for index in ones]
            some = [(shared, index) for shared, index in near if shared is not None]
            self._near[line] = sorted(some, key=lambda edge: -edge[0])
        for least in range(_ALL, _LEAST - 1, -1):
            for line in lines:
                if line not in self._index_of:
                    self._place(line, least)
        return self._index_of | same

    def _same(self) -> dict[int, int]:
        """Pair those of which exactly the same is told, where that takes nothing from others.

        A statement that is exported again has thousands, which need not be held against each
        other. Whatever may be one of such a pair, on either side, may be one another: they agree
        on the one order and day of the pair, or nobody tells any.
        """
        both = [self._told[line] for line in self._lines]
        both += [self._known[index] for index in self._ones]
        untold = [not any(getattr(facts, name) for facts in both) for name in _NAMES]
        free: dict[Facts, list[int]] = {}
        for index in reversed(self._ones):
            free.setdefault(self._known[index], []).append(index)
        pairs: dict[int, int] = {}
        for line in self._lines:
            facts = self._told[line]
            is_plain = all(
                nobody or len(getattr(facts, name)) == 1
                for name, nobody in zip(_NAMES, untold, strict=True)
            )
            if is_plain and free.get(facts):
                pairs[line] = free[facts].pop()
        return pairs

    def _place(self, line: int, least: int) -> None:
        """Find a line its place, moving others to where they may be, too."""
        came_from: dict[int, int] = {}
        ahead = [line]
        for at in ahead:
            for shared, index in self._near[at]:
                if shared < least or index in came_from:
                    continue
                came_from[index] = at
                if index not in self._line_of:
                    self._move(index, came_from)
                    return
                ahead.append(self._line_of[index])

    def _move(self, index: int, came_from: Mapping[int, int]) -> None:
        """Give each on the way the place that was found for it, and its own to the one before."""
        place: int | None = index
        while place is not None:
            line = came_from[place]
            self._line_of[place] = line
            before = self._index_of.get(line)
            self._index_of[line] = place
            place = before

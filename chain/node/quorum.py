"""Which block several nodes agree on, and which of them stand apart (ADR 0034).

Pure judgement: nodes are numbers here, and what they say is asked for through a function. A node
that is a little behind is not wrong, so nodes are compared at heights that they share. A head
that goes back is no reorg until enough nodes show another block at a height that we know.

How many must agree is counted over all that answer, before anybody is left out. Otherwise a node
that claims a chain of its own, far ahead, would leave the others out as being behind, and then be
the majority of those that are left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from chain.errors import NoQuorum
from chain.node.answers import Block, hex_of

REMEMBERED = 256
"""Agreed blocks that are kept to tell a reorg from a node that is behind."""
YOUNG_SECONDS = 60.0
"""Whose newest block is younger, by its own time, is not behind on the word of just as many."""

Ask = Callable[[Collection[int], int], Mapping[int, Block | None]]
"""From nodes and a height, the header that each has there; who does not answer is missing."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When nodes are believed.

    Parameters
    ----------
    agreeing
        So many nodes must say the same, and more than half of those that answer.
    most_behind
        Blocks; a node further behind is left out.
    """

    agreeing: int
    most_behind: int

    @classmethod
    def of(cls, nodes: int, *, agreeing: int | None, most_behind: int) -> Rules:
        """Give the rules for so many nodes; by default half of them, rounded up, must agree."""
        return cls(agreeing or (nodes + 1) // 2, most_behind)

    def needed(self, answering: int) -> int:
        return max(self.agreeing, answering // 2 + 1)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is believed.

    Parameters
    ----------
    head
        The newest block on which enough nodes agree.
    members
        The nodes that have it.
    behind, apart
        Nodes that lag too far, and nodes on another branch, each with what is wrong.
    ahead
        Members that claim blocks far above the head, which too few others have.
    """

    head: Block
    members: tuple[int, ...]
    behind: Mapping[int, str]
    apart: Mapping[int, str]
    ahead: Mapping[int, str]


class _Answering:
    """The nodes that answer: more than half of them must say the same."""

    def __init__(self, nodes: Collection[int], ask: Ask, rules: Rules) -> None:
        self.nodes = set(nodes)
        self._ask = ask
        self._rules = rules

    @property
    def needed(self) -> int:
        return self._rules.needed(len(self.nodes))

    def at(self, heads: Mapping[int, Block], height: int) -> dict[int, Block]:
        """Give what each node has at a height; a node without any there is no voter."""
        higher = [node for node, head in heads.items() if head.number != height]
        asked = self._ask(higher, height) if higher else {}
        self.nodes -= set(higher) - asked.keys()
        found = {node: asked.get(node) if node in higher else head for node, head in heads.items()}
        return {
            node: block
            for node, block in found.items()
            if block is not None and block.number == height
        }


class Quorum:
    """Judges what nodes say, look after look.

    Parameters
    ----------
    rules
        When they are believed.
    clock
        Seconds since the epoch.
    """

    def __init__(self, rules: Rules, clock: Callable[[], float] = time.time) -> None:
        self._rules = rules
        self._clock = clock
        self._agreed: dict[int, bytes] = {}
        self._floor: Block | None = None
        self._lost: tuple[int, int] | None = None

    def judge(self, heads: Mapping[int, Block], ask: Ask) -> Verdict:
        """Find the newest block on which enough of the nodes that answered agree.

        Raises
        ------
        NoQuorum
            Too few answer, they disagree, or all are behind what they agreed on before.
        """
        if len(heads) < self._rules.agreeing:
            raise NoQuorum(
                "too_few_nodes",
                f"{len(heads)} nodes can be believed; {self._rules.agreeing} must agree.",
            )
        answering = _Answering(heads, ask, self._rules)
        behind = self._behind(heads, answering)
        level = {node: head for node, head in heads.items() if node not in behind}
        branch, apart = self._branch(level, answering)
        members = self._not_below_the_floor(branch)
        head, sharing = self._newest_shared(members, answering)
        apart |= {
            node: f"block {head.number} is another one"
            for node, known in members.items()
            if node not in sharing and known.number >= head.number
        }
        self._remember(head, sharing[0], ask)
        return Verdict(head, sharing, behind, apart, self._ahead(head, sharing, heads))

    def is_lost(self, number: int) -> bool:
        """Tell whether a block of this height is known to be gone: a reorg took it."""
        return self._lost is not None and self._lost[0] <= number

    def _behind(self, heads: Mapping[int, Block], answering: _Answering) -> dict[int, str]:
        """Leave out who is far below what a majority has; or what one half has, as told below."""
        heights = sorted((head.number for head in heads.values()), reverse=True)
        half = len(heads) // 2
        if half * 2 == len(heads) and half >= self._rules.agreeing:
            lagging = self._below(heads, heights[half - 1])
            if len(lagging) == half and self._lag_by_themselves(heads, lagging, answering):
                answering.nodes -= lagging.keys()
                return lagging
        return self._below(heads, heights[answering.needed - 1])

    def _below(self, heads: Mapping[int, Block], wanted: int) -> dict[int, str]:
        return {
            node: f"behind by {wanted - head.number} blocks"
            for node, head in heads.items()
            if wanted - head.number > self._rules.most_behind
        }

    def _lag_by_themselves(
        self, heads: Mapping[int, Block], lagging: Collection[int], answering: _Answering
    ) -> bool:
        """Tell whether the lower half of the nodes lags by what it shows itself.

        Just as many claim to be far ahead, and any of them may have made its blocks up. Whoever
        lags has an old block as the newest, and it is one of the higher chain's.
        """
        latest = self._clock() - YOUNG_SECONDS
        if any(heads[node].timestamp > latest for node in lagging):
            return False
        higher = {node: head for node, head in heads.items() if node not in lagging}
        for node in lagging:
            there = answering.at(higher, heads[node].number)
            if there.keys() != higher.keys():
                return False
            if any(block.hash != heads[node].hash for block in there.values()):
                return False
        return True

    def _branch(
        self, heads: Mapping[int, Block], answering: _Answering
    ) -> tuple[dict[int, Block], dict[int, str]]:
        """Compare at the height that all have; the branch of enough nodes is the chain."""
        height = min(head.number for head in heads.values())
        there = answering.at(heads, height)
        largest = _largest(there)
        if len(largest) < answering.needed:
            raise NoQuorum("nodes_disagree", _disagreement(height, there))
        shared = there[largest[0]]
        known = self._agreed.get(height)
        if known is not None and known != shared.hash:
            assert self._floor is not None, "what is agreed has a newest block"
            self._lost = (height, self._floor.number)
            self._agreed, self._floor = {}, None
        return (
            {node: heads[node] for node in largest},
            {
                node: f"block {height} is {hex_of(block.hash)}, the others have "
                + (hex_of(shared.hash) if block.hash != shared.hash else "another header of it")
                for node, block in there.items()
                if node not in largest
            },
        )

    def _not_below_the_floor(self, heads: Mapping[int, Block]) -> dict[int, Block]:
        """Set aside, without a word, who has not yet seen what was agreed before."""
        floor = self._floor
        if floor is None:
            return dict(heads)
        found = {node: head for node, head in heads.items() if head.number >= floor.number}
        if len(found) < self._rules.agreeing:
            newest = max(head.number for head in heads.values())
            raise NoQuorum(
                "nodes_behind",
                f"The nodes that answer are at block {newest}; {floor.number} was agreed before.",
            )
        return found

    def _newest_shared(
        self, heads: Mapping[int, Block], answering: _Answering
    ) -> tuple[Block, tuple[int, ...]]:
        needed = answering.needed
        there: Mapping[int, Block] = {}
        height = 0
        for height in sorted({head.number for head in heads.values()}, reverse=True):
            holders = {node: head for node, head in heads.items() if head.number >= height}
            if len(holders) < needed:
                continue
            there = answering.at(holders, height)
            largest = _largest(there)
            if len(largest) >= needed:
                return there[largest[0]], largest
        floor = self._floor
        if len(heads) < needed and floor is not None:
            # The others went back a little. What was agreed on stays, and nothing above it counts.
            height, there = floor.number, answering.at(heads, floor.number)
            sharing = tuple(node for node, block in there.items() if block.hash == floor.hash)
            if len(sharing) >= self._rules.agreeing:
                return floor, sharing
        raise NoQuorum("nodes_disagree", _disagreement(height, there))

    def _ahead(
        self, head: Block, members: Collection[int], heads: Mapping[int, Block]
    ) -> dict[int, str]:
        above = {node: heads[node].number - head.number for node in members}
        return {
            node: f"{blocks} blocks ahead of what enough nodes have"
            for node, blocks in above.items()
            if blocks > self._rules.most_behind
        }

    def _remember(self, head: Block, node: int, ask: Ask) -> None:
        """Keep the agreed blocks of one branch; across a gap that is asked for."""
        floor = self._floor
        if floor is not None and floor.hash not in {head.hash, head.parent_hash}:
            known = ask([node], floor.number).get(node) if head.number > floor.number else None
            if known is None or known.hash != floor.hash:
                self._agreed = {}
        self._floor = head
        self._agreed[head.number] = head.hash
        while len(self._agreed) > REMEMBERED:
            del self._agreed[next(iter(self._agreed))]
        if self._lost is not None and head.number >= self._lost[1]:
            self._lost = None


def _largest(there: Mapping[int, Block]) -> tuple[int, ...]:
    """Give the nodes that have the same, with all that a header tells: its hash is not verified."""
    groups: dict[Block, list[int]] = {}
    for node, block in there.items():
        groups.setdefault(block, []).append(node)
    if not groups:
        return ()
    largest = max(groups.values(), key=len)
    return tuple(largest)


def _disagreement(height: int, there: Mapping[int, Block]) -> str:
    said = ", ".join(f"node {node} has {hex_of(block.hash)}" for node, block in there.items())
    return f"The nodes disagree about block {height}: {said or 'none has it'}."

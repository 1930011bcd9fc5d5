"""Whom of several nodes to believe, and whom to ask: heard again and again (ADR 0034)."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar

import structlog

from chain.errors import (
    ChainError,
    NoQuorum,
    RateLimited,
    RpcInconsistent,
    RpcUnavailable,
    WrongChain,
)
from chain.node.answers import Block
from chain.node.asking import Enough, Round
from chain.node.pooled_node import PROBE_SECONDS, NodeState, PooledNode
from chain.node.quorum import Quorum, Rules, Verdict

log = structlog.get_logger()

Answer = TypeVar("Answer")

FRESH_SECONDS = 0.1
"""For so long a head that was just agreed on is given again."""
DISPUTED_SECONDS = 10.0
"""For so long nodes are shown to disagree about what they hold, though they agree on the head."""
VALID_SECONDS = 5.0
"""For so long the chosen node is asked without the others being heard."""


class Panel:
    """The nodes of one chain; any thread may ask.

    Parameters
    ----------
    nodes
        In the order in which they are preferred.
    """

    def __init__(self, nodes: Sequence[PooledNode], rules: Rules) -> None:
        self.rules = rules
        self._nodes = {node.position: node for node in nodes}
        self._quorum = Quorum(rules)
        self._lock = threading.RLock()
        self._verdict: Verdict | None = None
        self._fault: NoQuorum | None = None
        self._chosen: PooledNode | None = None
        self._looked_at = float("-inf")

    @property
    def nodes(self) -> list[PooledNode]:
        return list(self._nodes.values())

    @property
    def agreed_height(self) -> int | None:
        """The newest block that was agreed on; None before the first."""
        return self._verdict.head.number if self._verdict else None

    def look(self, fresh_seconds: float | None = None) -> Verdict:
        """Return what the nodes agree on, hearing them again where that is too long ago.

        They are heard no more often than half of the rate allows at which they may be asked.

        Parameters
        ----------
        fresh_seconds
            How long ago is not too long; by default hardly at all.

        Raises
        ------
        NoQuorum
        """
        with self._lock:
            if fresh_seconds is None or self._fault is not None:
                is_due = self._is_due(FRESH_SECONDS)
            else:
                is_missing = self._chosen is None or not self._chosen.is_asked
                is_due = is_missing or self._is_due(fresh_seconds)
            return self.hear() if is_due else self._believed()

    def hear(self) -> Verdict:
        """Hear the nodes now, and return what they agree on.

        Raises
        ------
        NoQuorum
        """
        with self._lock:
            self._hear_all()
            return self._believed()

    def hint(self) -> None:
        """Hear them again at the next question: there may be a new block."""
        self._looked_at = min(self._looked_at, time.monotonic() - FRESH_SECONDS)

    def choose(self) -> PooledNode:
        """Return the node to ask: the same one for as long as it is believed."""
        with self._lock:
            self.look(VALID_SECONDS)
            if self._chosen is None:
                raise RpcUnavailable("no node of RPC_URL can be asked")
            return self._chosen

    def members(self, verdict: Verdict) -> list[PooledNode]:
        return [self._nodes[position] for position in verdict.members]

    def voters(self) -> list[PooledNode]:
        """Return the nodes that have the agreed head and are asked, in the order to ask them.

        The chosen one comes first, and last who was too slow.
        """
        with self._lock:
            chosen = self.choose()
            members = self.members(self.look(VALID_SECONDS))
            others = (node for node in members if node is not chosen and node.is_asked)
            return sorted([chosen, *others], key=lambda node: node.is_slow)

    def move_on(self, reason: str) -> None:
        """Choose another node: what this one said alone, enough nodes do not say.

        It is not left out: it may be a little behind, and without one of two the other would be
        believed alone.
        """
        with self._lock:
            chosen, *others = self.voters()
            if others:
                places = [node.position for node in others]
                following = min([each for each in places if each > chosen.position] or places)
                self._chosen = self._nodes[following]
                log.warning("node_passed_over", node=chosen.name, reason=reason)

    def is_lost(self, number: int) -> bool:
        """Tell whether a block of this height is known to be gone: a reorg took it."""
        with self._lock:
            return self._quorum.is_lost(number)

    def distrust(self, reason: str) -> None:
        """Leave out the chosen node: what it said cannot be true.

        Where several have said it, which of them to leave out nothing tells, and without one of
        two the other would be believed alone. It was a reorg between two questions, most likely.
        """
        with self._lock:
            said = self.members(self._verdict) if self._verdict else []
            if self._chosen is not None and sum(node.is_asked for node in said) <= 1:
                self.blame(self._chosen, RpcInconsistent(reason))

    def blame_at(self, position: int, fault: ChainError) -> None:
        """Leave out the node of that place in RPC_URL."""
        self.blame(self._nodes[position], fault)

    def dispute(self, what: str, groups: Sequence[Sequence[int]]) -> RpcUnavailable:
        """Tell that nodes contradict each other, or do not answer; return what is to be raised."""
        answered = sum(map(len, groups))
        if not answered:
            return RpcUnavailable("no node of RPC_URL answers")
        if answered < self.rules.agreeing:
            return NoQuorum("too_few_nodes", f"{what}: only {answered} nodes answered.")
        sides = " against ".join(", ".join(map(str, group)) for group in groups)
        fault = NoQuorum("nodes_disagree", f"The nodes disagree about {what}: {sides}.")
        with self._lock:
            for position in itertools.chain(*groups):
                self._nodes[position].disagrees(str(fault), DISPUTED_SECONDS)
        return fault

    def blame(self, node: PooledNode, fault: ChainError) -> None:
        """Leave a node out for what it did."""
        with self._lock:
            if isinstance(fault, RateLimited):
                node.leave_out(NodeState.RATE_LIMITED, str(fault), fault.retry_after)
            elif isinstance(fault, WrongChain):
                node.leave_out(NodeState.OTHER_CHAIN, f"it serves chain {fault.served}")
            elif isinstance(fault, RpcInconsistent):
                node.leave_out(NodeState.INCONSISTENT, str(fault))
            else:
                node.leave_out(NodeState.UNAVAILABLE, str(fault))
            if self._chosen is node:
                self._chosen = None

    def each(
        self,
        nodes: Sequence[PooledNode],
        question: Callable[[PooledNode], Answer],
        patience: float,
        reserve: Sequence[PooledNode] = (),
        enough: Enough[Answer] | None = None,
    ) -> dict[int, Answer]:
        """Ask several nodes at once; who fails is left out and missing in the answer.

        Parameters
        ----------
        patience
            Seconds that each may take.
        reserve, enough
            See `chain.node.asking.Round.gather`.
        """
        return Round(question, patience, self.blame).gather(nodes, reserve, enough)

    def _probe(
        self, nodes: Sequence[PooledNode], question: Callable[[PooledNode], Answer]
    ) -> dict[int, Answer]:
        return Round(question, PROBE_SECONDS, self.blame, is_probe=True).gather(nodes)

    def _believed(self) -> Verdict:
        if self._fault is not None:
            raise self._fault.with_traceback(None)
        assert self._verdict is not None, "they agree or they do not"
        return self._verdict

    def _is_due(self, fresh_seconds: float) -> bool:
        now = time.monotonic()
        is_eased = all(node.eases_at <= now for node in self.nodes if node.is_asked)
        return is_eased and now - self._looked_at >= fresh_seconds

    def _hear_all(self) -> None:
        heads = self._probe([node for node in self.nodes if node.is_asked], PooledNode.look)
        for position, head in heads.items():
            self._nodes[position].height = head.number
        try:
            verdict = self._quorum.judge(heads, self._headers_at)
        except NoQuorum as fault:
            self._fault, self._chosen = fault, None
            if fault.code == "nodes_disagree":
                for position in heads:
                    self._nodes[position].disagrees(str(fault))
        else:
            self._fault, self._verdict = None, verdict
            self._sort_out(heads, verdict)
        self._looked_at = time.monotonic()

    def _sort_out(self, heads: Collection[int], verdict: Verdict) -> None:
        for position in heads:
            node = self._nodes[position]
            if position in verdict.behind:
                node.leave_out(NodeState.BEHIND, verdict.behind[position])
            elif position in verdict.apart:
                node.leave_out(NodeState.OTHER_BRANCH, verdict.apart[position])
            elif position in verdict.ahead:
                node.is_ahead(verdict.ahead[position])
            elif node.is_asked:
                node.is_good()
        members = set(verdict.members)
        trusted = members - verdict.ahead.keys() or members
        if self._chosen is None or self._chosen.position not in trusted:
            self._chosen = self._nodes[min(trusted)]

    def _headers_at(self, positions: Collection[int], number: int) -> Mapping[int, Block | None]:
        nodes = [self._nodes[position] for position in positions]
        return self._probe(nodes, lambda node: node.probe.block(number))

"""One question on its way to several nodes at once, each in threads of its own (ADR 0034).

Nobody can stop a thread that waits for a node. So each node has a bounded number of them: who does
not answer takes none from the others. What the rate that we keep to makes a question wait is not
the node's time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import partial
from typing import Generic, TypeVar

from chain.errors import ChainError, RpcUnavailable
from chain.node.limits import turns_told
from chain.node.pooled_node import PooledNode

Answer = TypeVar("Answer")
Blame = Callable[[PooledNode, ChainError], None]
Enough = Callable[[Mapping[int, Answer], int], bool]
"""From the answers so far, by node, and how many are still awaited, whether these can wait."""

OVERTAKEN_SECONDS = 3.0
"""Who takes longer is not waited for where others are enough: one that is merely slow, and honest,
is not to set the pace of everything."""


class _Abandoned(RpcUnavailable):
    """Nobody waits for the answer any more."""


class _Asked(Generic[Answer]):
    """A question on its way to one node."""

    def __init__(
        self, node: PooledNode, question: Callable[[PooledNode], Answer], *, is_probe: bool
    ) -> None:
        self.node = node
        self._since = time.monotonic()
        self._paced = 0.0
        self._is_abandoned = False
        threads = node.probing if is_probe else node.asking
        self.answer: Future[Answer] = threads.submit(self._ask, question)

    @property
    def seconds(self) -> float:
        """How long the node has taken so far."""
        return time.monotonic() - self._since - self._paced

    def abandon(self) -> None:
        """Make no more calls for it: one that is under way ends by itself, in its own time."""
        self._is_abandoned = True
        self.answer.cancel()

    def _ask(self, question: Callable[[PooledNode], Answer]) -> Answer:
        with turns_told(self._take_turn):
            return question(self.node)

    def _take_turn(self, pause: float) -> None:
        if self._is_abandoned:
            raise _Abandoned("others have answered meanwhile")
        self._paced += pause


class Round(Generic[Answer]):
    """Asks nodes one question, and gathers what they say.

    Parameters
    ----------
    patience
        Seconds that a node may take for all of its answer.
    blame
        Told of who fails, or takes longer.
    is_probe
        The question is about a node itself: what else it is asked does not hold it up.
    """

    def __init__(
        self,
        question: Callable[[PooledNode], Answer],
        patience: float,
        blame: Blame,
        *,
        is_probe: bool = False,
    ) -> None:
        self._question = question
        self._patience = patience
        self._blame = blame
        self._is_probe = is_probe
        self._all: list[_Asked[Answer]] = []
        self._waiting: list[_Asked[Answer]] = []
        self._answers: dict[int, Answer] = {}

    def gather(
        self,
        nodes: Sequence[PooledNode],
        reserve: Sequence[PooledNode] = (),
        enough: Enough[Answer] | None = None,
    ) -> dict[int, Answer]:
        """Return the answers by node, in the order of `nodes`; who fails is missing.

        Parameters
        ----------
        reserve
            Who are asked as well where those take long.
        enough
            Whether those that take long are still waited for; by default they are.
        """
        self._ask(nodes)
        is_slow = enough is None
        while self._waiting:
            if not is_slow and self._longest() >= OVERTAKEN_SECONDS:
                is_slow = True
                self._ask(reserve)
            if is_slow and enough is not None and enough(self._answers, len(self._waiting)):
                self._overtake()
                break
            self._give_up()
            left = (self._patience if is_slow else OVERTAKEN_SECONDS) - self._longest()
            wait([asked.answer for asked in self._waiting], max(left, 0.0), FIRST_COMPLETED)
            self._collect()
        order = [asked.node.position for asked in self._all]
        return {node: self._answers[node] for node in order if node in self._answers}

    def _ask(self, nodes: Sequence[PooledNode]) -> None:
        asked = [_Asked(node, self._question, is_probe=self._is_probe) for node in nodes]
        self._all += asked
        self._waiting += asked

    def _longest(self) -> float:
        return max((asked.seconds for asked in self._waiting), default=0.0)

    def _collect(self) -> None:
        done = [asked for asked in self._waiting if asked.answer.done()]
        self._waiting = [asked for asked in self._waiting if asked not in done]
        for asked in done:
            try:
                self._answers[asked.node.position] = asked.answer.result()
            except ChainError as fault:
                self._blame(asked.node, fault)

    def _give_up(self) -> None:
        late = [asked for asked in self._waiting if asked.seconds >= self._patience]
        self._waiting = [asked for asked in self._waiting if asked not in late]
        for asked in late:
            asked.abandon()
            self._blame(asked.node, RpcUnavailable("it takes too long"))

    def _overtake(self) -> None:
        """Go on without those that take long; they are asked last for a while."""
        for asked in self._waiting:
            asked.node.is_overtaken()
            asked.abandon()
            asked.answer.add_done_callback(partial(self._hear_late, asked.node))

    def _hear_late(self, node: PooledNode, done: Future[Answer]) -> None:
        fault = None if done.cancelled() else done.exception()
        if isinstance(fault, ChainError) and not isinstance(fault, _Abandoned):
            self._blame(node, fault)

"""Asking several nodes one question, and leaving out who says otherwise than most (ADR 0034)."""

from __future__ import annotations

import operator
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from chain.errors import RpcInconsistent, RpcRefused, RpcUnavailable
from chain.node.agreement import Refusal, Same, Vote, answer_or_refusal, count_votes
from chain.node.client import ChainClient
from chain.node.panel import Panel
from chain.node.pooled_node import PooledNode

Answer = TypeVar("Answer")

LOOK_AGAIN_SECONDS = 0.2
"""Pause before nodes that say different things are asked again, before anybody is blamed: a node
that has just imported a block was seen to leave its logs out, and a reorg comes to each in turn."""
BULK_SECONDS = 300.0
"""How long a node may take for all of an answer; each step has its own time, and many headers take
long where the node may be asked seldom."""
_PINNED = {"eth_call": 1, "eth_getCode": 1}
"""Questions about one block's state, and which parameter names the block."""


class Voting:
    """Asks the nodes of one chain; any thread may.

    Parameters
    ----------
    panel
        Knows whom to ask, and is told whom to leave out.
    """

    def __init__(self, panel: Panel) -> None:
        self._panel = panel

    def agreed(
        self,
        what: str,
        question: Callable[[ChainClient], Answer],
        same: Same[Answer] = operator.eq,
        *,
        blocks: int = 0,
    ) -> Answer:
        """Return what enough nodes say of something that does not change any more.

        Parameters
        ----------
        what
            It is told of who says otherwise.
        same
            Whether two answers say the same.
        blocks
            Of how many the logs are asked. A node may refuse many, and is then asked for fewer.

        Raises
        ------
        NoQuorum
            Too few say the same, or answer at all.
        RpcRefused
        """
        voters = self._panel.voters()
        few = self._panel.rules.needed(len(voters))
        vote = self._vote(voters[:few], question, same, voters[few:])
        if blocks > 1 and vote.refusals:
            raise next(iter(vote.refusals.values()))
        # While the others rest, one that was asked alone says the same as itself.
        is_unanimous = len(vote.groups) == 1 and len(vote.most) >= min(few, len(voters))
        if is_unanimous and self.is_enough(vote):
            return vote.answer
        if len(vote.groups) > 1:
            time.sleep(LOOK_AGAIN_SECONDS)
        return self.decided(what, self._vote(self._panel.voters(), question, same), blocks)

    def most_without_liars(self, question: Callable[[ChainClient], list[int]]) -> list[int]:
        """Return counts of what each node has for itself, of each the most that is believed.

        Whoever has more or less is not wrong. But the most is that of a node that need not be
        believed, where so many others would be enough; of two, nobody knows which that is.

        Raises
        ------
        NoQuorum
            Too few answer.
        RpcRefused
        """
        rules = self._panel.rules
        few = self._panel.voters()
        few = few[: rules.needed(len(few))]
        vote = self._vote(few, question, operator.eq)
        if len(vote.most) < len(few) or not self.is_enough(vote):
            vote = self._vote(self._panel.voters(), question, operator.eq)
        counts = [given for given in vote.answers.values() if not isinstance(given, RpcRefused)]
        if len(counts) < rules.agreeing:
            for refused in vote.refusals.values():
                raise refused
            raise self._panel.dispute("what waits in their pools", vote.groups)
        passed_over = len(counts) - min(rules.needed(len(counts)), len(counts))
        return [sorted(each, reverse=True)[passed_over] for each in zip(*counts, strict=True)]

    def decided(self, what: str, vote: Vote[Answer], blocks: int = 0) -> Answer:
        """Return what enough nodes say, and leave the others out."""
        panel = self._panel
        is_enough = self.is_enough(vote)
        if vote.refusals and (blocks > 1 or (not is_enough and len(vote.groups) <= 1)):
            raise next(iter(vote.refusals.values()))
        if not is_enough:
            raise panel.dispute(what, vote.groups)
        for node in vote.others:
            panel.blame_at(node, RpcInconsistent(f"{what}: most others say otherwise"))
        for node, refused in vote.refusals.items() if blocks else ():
            panel.blame_at(node, RpcUnavailable(str(refused)))
        return vote.answer

    def is_enough(self, vote: Vote[Answer]) -> bool:
        """Tell whether so many say the same that they are believed."""
        return len(vote.most) >= self._panel.rules.needed(vote.given)

    def of_all(self, question: Callable[[ChainClient], Answer], same: Same[Answer]) -> Vote[Answer]:
        """Ask all nodes, once again where they do not say the same."""
        vote = self._vote(self._panel.voters(), question, same)
        if len(vote.groups) > 1:
            time.sleep(LOOK_AGAIN_SECONDS)
            vote = self._vote(self._panel.voters(), question, same)
        return vote

    def _vote(
        self,
        nodes: Sequence[PooledNode],
        question: Callable[[ChainClient], Answer],
        same: Same[Answer],
        reserve: Sequence[PooledNode] = (),
    ) -> Vote[Answer]:
        def enough(said: Mapping[int, Answer | Refusal], waiting: int) -> bool:
            # Whoever has not answered may say otherwise.
            vote = count_votes(said, same)
            return len(vote.most) >= self._panel.rules.needed(vote.given + waiting)

        said = self._panel.each(
            nodes,
            lambda node: answer_or_refusal(lambda: question(node.client)),
            BULK_SECONDS,
            reserve,
            enough,
        )
        return count_votes(said, same)


def is_pinned(method: str, params: Sequence[Any]) -> bool:
    """Tell whether a question is about the state of one block, which every node must tell alike."""
    place = _PINNED.get(method)
    if place is None or place >= len(params):
        return False
    block = params[place]
    return isinstance(block, dict) or str(block).startswith("0x")


def asked_with(client: ChainClient, method: str, params: Sequence[Any]) -> Any:
    """Ask; a node that ignores the code that is lent to it with a call says nothing."""
    answer = client.request(method, *params)
    if len(params) > _PINNED[method] + 1 and answer == "0x":
        raise RpcRefused(method, 0, "the node ignores the code that is lent to it", None)
    return answer

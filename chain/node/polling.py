"""What belongs to each node's own time: tags and receipts, asked of all that have the head.

Every node tells them as far as it has come itself, so they are not compared one with another, but
held against what is agreed on (ADR 0034).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from chain.errors import NoQuorum, RpcInconsistent, RpcRefused
from chain.node.agreement import (
    Refusal,
    answer_or_refusal,
    are_receipts_told,
    newest_mined,
    receipts_agreed,
)
from chain.node.answers import Block, Receipt
from chain.node.asking import Enough
from chain.node.client import TIMEOUT_SECONDS, ChainClient
from chain.node.panel import Panel
from chain.node.quorum import Verdict
from chain.node.voting import LOOK_AGAIN_SECONDS, Voting

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class _Claims:
    """To which blocks nodes give a tag.

    Parameters
    ----------
    found
        Of each node whose block is the chain's, as the nodes agree on it.
    wrong
        Nodes whose block is another one.
    """

    found: Sequence[Block]
    wrong: Sequence[int]
    refused: Refusal | None
    needed: int


class Polling:
    """Asks every node that has the agreed head; any thread may.

    Parameters
    ----------
    voting
        Tells the agreed headers.
    """

    def __init__(self, panel: Panel, voting: Voting) -> None:
        self._panel = panel
        self._voting = voting

    def tagged(self, tag: str) -> Block | None:
        """Return the newest block up to which enough nodes give a tag.

        Each is held against the agreed header of its number. Who gives the tag to another one is
        left out, if after a moment still: a reorg may come between the two questions.
        """
        claims = self._claims(tag)
        if claims.wrong:
            time.sleep(LOOK_AGAIN_SECONDS)
            claims = self._claims(tag)
        for node in claims.wrong:
            self._panel.blame_at(node, RpcInconsistent(f"its {tag} block is not the chain's"))
        if len(claims.found) >= claims.needed:
            highest = sorted(claims.found, key=lambda block: block.number, reverse=True)
            return highest[claims.needed - 1]
        if claims.refused is not None:
            raise claims.refused
        if claims.wrong:
            raise NoQuorum("nodes_disagree", f"The nodes disagree about their {tag} block.")
        return None

    def receipts(self, tx_hashes: Sequence[bytes]) -> list[Receipt | None]:
        """Return what enough nodes say became of each transaction, in blocks that are agreed on.

        Raises
        ------
        NoQuorum
            One node has a receipt and another has none, or another one; or enough have one of a
            block to which the agreed head has not come.
        """
        if not tx_hashes:
            return []
        rules = self._panel.rules
        verdict = self._panel.look()
        height = verdict.head.number
        said, needed = self._ask_members(
            verdict,
            lambda client: client.receipts(tx_hashes),
            lambda told, waiting: are_receipts_told(
                height, told.values(), rules.needed(len(told) + waiting)
            ),
        )
        if (newest := newest_mined(said.values(), needed)) > height:
            # A block came while they were asked.
            height = self._panel.hear().head.number
            if newest > height:
                raise NoQuorum(
                    "nodes_behind", f"The nodes agree on block {height}; {newest} has a receipt."
                )
        return receipts_agreed(height, said.values(), needed)

    def _ask_members(
        self,
        verdict: Verdict,
        question: Callable[[ChainClient], Answer],
        enough: Enough[Answer | Refusal],
    ) -> tuple[Mapping[int, Answer | Refusal], int]:
        """Ask all nodes that have the agreed head; also how many of them must say the same."""
        rules = self._panel.rules
        members = self._panel.members(verdict)
        said = self._panel.each(
            sorted(members, key=lambda node: node.is_slow),
            lambda node: answer_or_refusal(lambda: question(node.client)),
            TIMEOUT_SECONDS,
            enough=enough,
        )
        if len(said) < rules.agreeing:
            raise NoQuorum("too_few_nodes", f"Only {len(said)} nodes answered.")
        return said, rules.needed(len(said))

    def _claims(self, tag: str) -> _Claims:
        verdict = self._panel.look()
        said, needed = self._ask_members(
            verdict,
            lambda client: client.block(tag),
            lambda told, waiting: len(told) >= self._panel.rules.needed(len(told) + waiting),
        )
        head = verdict.head
        claimed = {node: block for node, block in said.items() if isinstance(block, Block)}
        agreed = {number: self._find(number, head) for number in _numbers(claimed, head)}
        found, wrong = [], []
        for node, block in claimed.items():
            # All of them have the head: who gives the tag to one above it gives it to this as well.
            known = head if block.number > head.number else agreed[block.number]
            if known is not None and (known == block or known.number < block.number):
                found.append(known)
            elif known is not None:
                wrong.append(node)
        refused = next((each for each in said.values() if isinstance(each, Refusal)), None)
        return _Claims(found, wrong, refused, needed)

    def _find(self, number: int, head: Block) -> Block | None:
        """Return the agreed header of a number up to the head; None where no node tells it."""
        if number == head.number:
            return head
        try:
            return self._voting.agreed("a header", lambda client: client.block(number))
        except RpcRefused:
            return None


def _numbers(claimed: Mapping[int, Block], head: Block) -> set[int]:
    return {block.number for block in claimed.values() if block.number <= head.number}

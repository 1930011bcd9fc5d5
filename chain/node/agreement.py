"""What several nodes say to one question, held side by side (ADR 0034).

Nodes write the same in their own ways: fields in another order, hashes in capitals. So logs are
compared by what they say, where they are not written alike.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from chain.errors import NoQuorum, NotKept, RpcInconsistent, RpcRefused
from chain.node.answers import Receipt
from chain.node.wire import wire_log

Answer = TypeVar("Answer")
Same = Callable[[Answer, Answer], bool]
Refusal = RpcRefused | NotKept


@dataclass(frozen=True, slots=True)
class Vote(Generic[Answer]):
    """How nodes answered.

    Parameters
    ----------
    groups
        Nodes that say the same, the largest group first; of two as large, whose node was asked
        first. That a contract refuses is an answer, too.
    answers
        By node.
    refusals
        Of nodes that have none: an old state or transaction that they do not keep, say.
    """

    groups: tuple[tuple[int, ...], ...]
    answers: Mapping[int, Answer | Refusal]
    refusals: Mapping[int, Refusal]

    @property
    def given(self) -> int:
        """How many have answered."""
        return len(self.answers)

    @property
    def most(self) -> tuple[int, ...]:
        """Who say what most of them say."""
        return self.groups[0] if self.groups else ()

    @property
    def others(self) -> list[int]:
        """Who say anything else."""
        return [node for group in self.groups[1:] for node in group]

    @property
    def answer(self) -> Answer:
        """What most say.

        Raises
        ------
        RpcRefused
            That the contract refuses.
        """
        said = self.answers[self.most[0]]
        if isinstance(said, Refusal):
            raise said
        return said


def count_votes(said: Mapping[int, Answer | Refusal], same: Same[Answer]) -> Vote[Answer]:
    """Hold answers side by side.

    Contracts refuse with data, of which nodes may tell nothing: those say the same as most of the
    others that are refused.

    Parameters
    ----------
    said
        By node, in the order in which they are preferred.
    same
        Whether two answers say the same.
    """
    refusals = {
        node: answer
        for node, answer in said.items()
        if isinstance(answer, Refusal) and not _is_revert(answer)
    }
    answers = {node: answer for node, answer in said.items() if node not in refusals}
    unexplained = [node for node, answer in answers.items() if _is_revert(answer, explained=False)]
    groups: list[list[int]] = []
    for node, answer in answers.items():
        if node in unexplained:
            continue
        for group in groups:
            if _is_same(answers[group[0]], answer, same):
                group.append(node)
                break
        else:
            groups.append([node])
    reverts = [group for group in groups if _is_revert(answers[group[0]])]
    if reverts:
        max(reverts, key=len).extend(unexplained)
    elif unexplained:
        groups.append(unexplained)
    order = list(answers)
    groups.sort(key=lambda group: (-len(group), min(map(order.index, group))))
    return Vote(tuple(map(tuple, groups)), answers, refusals)


def _is_revert(answer: object, *, explained: bool | None = None) -> bool:
    """Tell whether a contract refuses, and where wanted, whether the node tells with what data."""
    if not isinstance(answer, RpcRefused) or not answer.is_revert:
        return False
    return explained is None or explained == bool(_explanation(answer))


def _explanation(refused: RpcRefused) -> str:
    return (refused.data or "").lower().removeprefix("0x")


def _is_same(one: Answer | Refusal, other: Answer | Refusal, same: Same[Answer]) -> bool:
    if isinstance(one, RpcRefused) and isinstance(other, RpcRefused):
        # Each node words it in its own way; the data are the contract's.
        return _explanation(one) == _explanation(other)
    if isinstance(one, Refusal) or isinstance(other, Refusal):
        return False
    return same(one, other)


def same_logs(one: Sequence[msgspec.Raw], other: Sequence[msgspec.Raw]) -> bool:
    """Tell whether two nodes give the same logs, however they write them."""
    if len(one) != len(other):
        return False
    try:
        return all(
            ours == theirs or _said(ours) == _said(theirs)
            for ours, theirs in zip(one, other, strict=True)
        )
    except (RpcInconsistent, ValueError):
        # What is no log is like nothing.
        return False


def _said(written: msgspec.Raw) -> tuple[object, ...]:
    entry = wire_log(written)
    words = entry.address, *entry.topics, entry.data, entry.block_hash, entry.transaction_hash
    return (*map(str.lower, words), int(entry.block_number, 16), int(entry.log_index, 16))


def answer_or_refusal(call: Callable[[], Answer]) -> Answer | Refusal:
    """Give a refusal as an answer: another node may say something else."""
    try:
        return call()
    except (RpcRefused, NotKept) as refused:
        return refused


Receipts = Sequence[Receipt | None] | Refusal
"""What one node says of several transactions."""


def receipts_agreed(height: int, said: Collection[Receipts], needed: int) -> list[Receipt | None]:
    """Return the receipts that enough nodes give; above the agreed height there is none yet.

    Raises
    ------
    NoQuorum
        Too few say the same of one.
    """
    answers = [answer for answer in said if not isinstance(answer, Refusal)]
    if not answers:
        raise NoQuorum("too_few_nodes", "No node tells receipts.")
    return [_receipt_agreed(height, of_one, needed) for of_one in zip(*answers, strict=True)]


def are_receipts_told(height: int, said: Collection[Receipts], needed: int) -> bool:
    """Tell whether enough nodes say the same of each."""
    try:
        receipts_agreed(height, said, needed)
    except NoQuorum:
        return False
    return True


def newest_mined(said: Collection[Receipts], needed: int) -> int:
    """Return the newest block of which enough nodes give the same receipt; -1 where none is."""
    answers = [answer for answer in said if not isinstance(answer, Refusal)]
    votes = Counter(
        (place, receipt)
        for answer in answers
        for place, receipt in enumerate(answer)
        if receipt is not None
    )
    return max(
        (receipt.block_number for (_, receipt), count in votes.items() if count >= needed),
        default=-1,
    )


def _receipt_agreed(height: int, said: Sequence[Receipt | None], needed: int) -> Receipt | None:
    votes = Counter(
        None if receipt is None or receipt.block_number > height else receipt for receipt in said
    )
    ((most, count),) = votes.most_common(1)
    if count < needed:
        raise NoQuorum("nodes_disagree", "The nodes disagree about a transaction's receipt.")
    return most

"""What transactions asked for, also of those that a node no longer finds by their hash.

Many nodes index the hashes of the newest transactions only (geth: of a year), and keep all blocks.
The header of a block names its transactions in their order, and by its place each is found in any
block that is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from chain.errors import NotKept, RpcRefused
from chain.node.answers import Block, Sent, hex_of, read_sent

BY_HASH = "eth_getTransactionByHash"
BY_PLACE = "eth_getTransactionByBlockHashAndIndex"

Call = tuple[str, tuple[str, ...]]


class Node(Protocol):
    """What is asked of a client (`chain.node.client`)."""

    def batch(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]: ...

    def headers(self, numbers: Sequence[int]) -> list[Block | None]: ...


def sent_by(node: Node, mined: Mapping[bytes, int]) -> dict[bytes, Sent]:
    """Return what transactions asked for; those are left out that the node has not kept.

    So are those that their block does not name: some chains leave their own out of it.

    Parameters
    ----------
    mined
        The number of the block of each.

    Raises
    ------
    NotKept
        A block is not there.
    """
    found = _answered(node, {each: (BY_HASH, (hex_of(each),)) for each in mined})
    lost = {each: number for each, number in mined.items() if each not in found}
    if not lost:
        return found
    numbers = sorted(set(lost.values()))
    blocks = dict(zip(numbers, node.headers(numbers), strict=True))
    calls = {each: _by_place(each, number, blocks[number]) for each, number in lost.items()}
    named = {each: call for each, call in calls.items() if call is not None}
    if not named:
        return found
    try:
        return found | _answered(node, named)
    except RpcRefused as refused:
        if not refused.is_unknown_method:
            raise
        return found


def _by_place(tx_hash: bytes, number: int, block: Block | None) -> Call | None:
    if block is None:
        raise NotKept(f"the node does not know {hex_of(tx_hash)}, nor block {number} with it")
    named = [each.lower() for each in block.transactions]
    if hex_of(tx_hash) not in named:
        return None
    return BY_PLACE, (hex_of(block.hash), hex(named.index(hex_of(tx_hash))))


def _answered(node: Node, calls: Mapping[bytes, Call]) -> dict[bytes, Sent]:
    answers = zip(calls, node.batch(list(calls.values())), strict=True)
    return {each: read_sent(each, answer) for each, answer in answers if answer is not None}

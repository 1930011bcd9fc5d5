"""Our keys' transactions on chain: found in few requests, and on whatever node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from chain.errors import RpcInconsistent, RpcRefused
from chain.node.client import ChainClient, bytes_of
from chain.sending.own_transactions import (
    BLOCKS_FOR_EACH,
    OwnTransaction,
    OwnTransactions,
    find_own,
)
from tests.chain.market import Market
from tests.chain.nodes import CHAIN_ID, Node
from tests.chain.world import PLATFORM, Hand, address_of

pytestmark = pytest.mark.chain

OURS = address_of(PLATFORM)
ELSEWHERE = bytes_of("0x" + "42" * 20)
FAR = 300
COUNT = "eth_getTransactionCount"
BLOCK = "eth_getBlockByNumber"


class Counting(ChainClient):
    """Counts what is asked in batches, by method."""

    def __init__(self, node: Node) -> None:
        super().__init__(node.url, CHAIN_ID)
        self.asked: list[str] = []
        self.batches = 0

    def batch(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        self.asked += [method for method, _ in calls]
        self.batches += 1
        return super().batch(calls)


class Pruned(Counting):
    """A node that has thrown the state of older blocks away."""

    def batch(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        if any(method == COUNT for method, _ in calls):
            raise RpcRefused(COUNT, -32000, "missing trie node", None)
        return super().batch(calls)


class OnlyLatest(Counting):
    """A node that tells the newest count whatever block is asked about."""

    def batch(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        return super().batch(
            [(name, (asked[0], "latest") if name == COUNT else asked) for name, asked in calls]
        )


class Nonsensical(Counting):
    """A node that leaves fields of transactions out, or writes what is no number."""

    field = ""
    said: Any = None

    def batch(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        answers = super().batch(calls)
        for (method, _), answer in zip(calls, answers, strict=True):
            if method == BLOCK:
                answer["transactions"] = list(map(self._spoilt, answer["transactions"]))
        return answers

    def _spoilt(self, entry: dict[str, Any]) -> dict[str, Any]:
        left = {name: said for name, said in entry.items() if name != self.field}
        return left if self.said is None else left | {self.field: self.said}


@pytest.fixture
def far(minted: Market) -> tuple[Node, set[int], list[bytes]]:
    """Three transactions far from each other: their nonces and hashes."""
    node = minted.world.node
    first = node.client.nonce(OURS)
    sent = []
    for _ in range(3):
        node.rpc("anvil_mine", hex(FAR))
        sent.append(Hand(node, PLATFORM).send(ELSEWHERE, b"\x01"))
        node.mine()
    node.rpc("anvil_mine", hex(FAR))
    return node, set(range(first, first + 3)), sent


def hashes(found: list[OwnTransaction]) -> list[bytes]:
    return [own.tx_hash for own in found]


def test_find__far_apart__reads_few_blocks(far: tuple[Node, set[int], list[bytes]]) -> None:
    node, nonces, sent = far
    client = Counting(node)

    assert hashes(find_own(client, {OURS: nonces}, 0)) == sent

    assert client.asked.count(BLOCK) <= 3 * BLOCKS_FOR_EACH
    assert client.batches < 20
    assert node.client.block_number() > 4 * FAR


def test_find__everything_the_key_ever_sent__is_what_the_blocks_hold(
    far: tuple[Node, set[int], list[bytes]],
) -> None:
    node, nonces, _ = far
    every = {OURS: set(range(max(nonces) + 1))}
    assert find_own(Counting(node), every, 0) == find_own(Pruned(node), every, 0)


@pytest.mark.parametrize("kind", [Pruned, OnlyLatest], ids=["pruned", "only the latest"])
def test_find__node_cannot_tell_older_counts__every_block_is_read(
    far: tuple[Node, set[int], list[bytes]], kind: type[Counting]
) -> None:
    node, nonces, sent = far
    client = kind(node)
    assert hashes(find_own(client, {OURS: nonces}, 0)) == sent
    assert client.asked.count(BLOCK) > 3 * FAR


@pytest.mark.parametrize(
    ("field", "said"),
    [("maxFeePerGas", None), ("v", None), ("from", None), ("nonce", "five"), ("hash", 5)],
)
def test_find__node_tells_nonsense_of_a_transaction__is_the_nodes_fault(
    far: tuple[Node, set[int], list[bytes]], field: str, said: Any
) -> None:
    node, nonces, _ = far
    client = Nonsensical(node)
    client.field, client.said = field, said

    with pytest.raises(RpcInconsistent, match="nonsense"):
        find_own(client, {OURS: nonces}, 0)


def test_find__asked_again__is_not_looked_for_until_its_block_has_gone(
    far: tuple[Node, set[int], list[bytes]],
) -> None:
    node, nonces, sent = far
    client = Pruned(node)
    own = OwnTransactions(client)
    assert hashes(own.find({OURS: nonces}, 0)) == sent
    client.asked.clear()

    assert hashes(own.find({OURS: nonces}, 0)) == sent
    assert client.asked.count(BLOCK) <= len(sent), "no more than the headers"

    node.roll_back(FAR + 1)
    again = Hand(node, PLATFORM).send(ELSEWHERE, b"\x02")
    node.mined(again)
    assert hashes(own.find({OURS: nonces}, 0)) == [*sent[:2], again]

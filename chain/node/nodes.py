"""Several nodes as one: what enough of them say is believed, the others are left out (ADR 0034).

Whatever is projected, proven or becomes final is what enough nodes say: heads, tags, headers, logs,
receipts, transactions, code, nonces, and calls of one block. As many are asked as must say the
same, and all of them where those do not. What belongs to the moment (fees, estimates) is asked of
one node; where it fails or refuses, the next is asked. Transactions go to all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import msgspec
from eth_utils.crypto import keccak

from chain.errors import NoQuorum, NotKept, RpcInconsistent, RpcRefused, RpcUnavailable, WrongChain
from chain.node.agreement import same_logs
from chain.node.answers import (
    Block,
    BlockId,
    Outlook,
    Receipt,
    Sent,
    hex_of,
    read_bytes,
    read_number,
)
from chain.node.client import TIMEOUT_SECONDS, ChainClient
from chain.node.limits import RateLimit
from chain.node.panel import VALID_SECONDS, Panel
from chain.node.polling import Polling
from chain.node.pooled_node import PROBE_SECONDS, NodeState, NodeStatus, PooledNode
from chain.node.quorum import Rules
from chain.node.voting import Voting, asked_with, is_pinned

Answer = TypeVar("Answer")

MOST_BEHIND = 5


def connect(
    urls: str,
    chain_id: int,
    *,
    timeout_seconds: float = TIMEOUT_SECONDS,
    per_second: float | None = None,
    agreeing: int | None = None,
    most_behind: int = MOST_BEHIND,
) -> ChainClient:
    """Give a client of the nodes that RPC_URL names, comma-separated.

    Parameters
    ----------
    per_second
        Calls that each node may get.
    agreeing, most_behind
        See `chain.node.quorum.Rules`; of no meaning for one node.
    """
    named = [url.strip() for url in urls.split(",") if url.strip()] or [urls]
    if len(named) == 1:
        limit = RateLimit(per_second)
        return ChainClient(named[0], chain_id, timeout_seconds=timeout_seconds, limit=limit)
    nodes = [
        PooledNode(position, url, chain_id, timeout_seconds, per_second)
        for position, url in enumerate(named, 1)
    ]
    return NodePool(
        nodes, chain_id, Rules.of(len(nodes), agreeing=agreeing, most_behind=most_behind)
    )


class NodePool(ChainClient):
    """Several nodes behind the interface of one; any thread may ask.

    Parameters
    ----------
    nodes
        In the order in which they are preferred.
    """

    is_one_node = False

    def __init__(self, nodes: Sequence[PooledNode], chain_id: int, rules: Rules) -> None:
        self.rpc_url = nodes[0].client.rpc_url
        self.chain_id = chain_id
        self._panel = Panel(nodes, rules)
        self._voting = Voting(self._panel)
        self._polling = Polling(self._panel, self._voting)

    def check(self) -> None:
        """Make sure that enough nodes answer, serve our chain and agree on it.

        Raises
        ------
        NoQuorum, WrongChain
        """
        try:
            self._panel.look()
        except NoQuorum as fault:
            nodes = self._panel.nodes
            if all(node.state == NodeState.OTHER_CHAIN for node in nodes):
                served = int(nodes[0].probe.request("eth_chainId"), 16)
                raise WrongChain(self.chain_id, served) from fault
            said = "; ".join(f"{node.name}: {node.detail}" for node in nodes if node.detail)
            raise NoQuorum(fault.code, f"RPC_URL: {fault} {said}".strip()) from fault

    def statuses(self) -> list[NodeStatus]:
        """Return how every node stands."""
        return [node.status() for node in self._panel.nodes]

    @property
    def agreed_height(self) -> int | None:
        """The newest block that was agreed on; None before the first."""
        return self._panel.agreed_height

    def hint(self) -> None:
        self._panel.hint()

    def distrust(self, reason: str) -> None:
        self._panel.distrust(reason)

    def move_on(self, reason: str) -> None:
        self._panel.move_on(reason)

    # -- one node is asked, but for the state of one block -------------------------------------

    def _ask(self, question: Callable[[ChainClient], Answer]) -> Answer:
        """Ask one node that is believed, and another one where it fails or refuses.

        Raises
        ------
        RpcRefused
            A contract refuses, by the word of that one; or so many nodes refuse as are believed.
        NoQuorum
            Fewer refuse, and no other can be asked.
        """
        refused: dict[int, RpcRefused] = {}
        for _ in self._panel.nodes:
            left = [node for node in self._panel.voters() if node.position not in refused]
            if not left:
                break
            try:
                return question(left[0].client)
            except (RpcUnavailable, RpcInconsistent) as fault:
                self._panel.blame(left[0], fault)
            except RpcRefused as refusal:
                if refusal.is_revert and not refusal.is_out_of_gas:
                    raise
                refused[left[0].position] = refusal
        if len(refused) >= self._panel.rules.agreeing:
            raise next(iter(refused.values()))
        if refused:
            told = "; ".join(f"node {node}: {refusal}" for node, refusal in refused.items())
            raise NoQuorum("too_few_nodes", f"Only {len(refused)} nodes answered. {told}")
        raise RpcUnavailable("no node of RPC_URL answers")

    def request(self, method: str, *params: Any) -> Any:
        if not is_pinned(method, params):
            return self._ask(lambda client: client.request(method, *params))
        return self._voting.agreed(
            f"{method} of a block", lambda client: asked_with(client, method, params)
        )

    def batch(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        if not calls or not all(is_pinned(*call) for call in calls):
            return self._ask(lambda client: client.batch(calls))
        return self._voting.agreed(f"{calls[0][0]} of a block", lambda client: client.batch(calls))

    def call(
        self, to: bytes, data: bytes, *, sender: bytes | None = None, block: BlockId = "latest"
    ) -> bytes:
        """Run a call without sending it; the latest block is the agreed one, the same for all."""
        pinned = self.head().hash if block == "latest" else block
        return super().call(to, data, sender=sender, block=pinned)

    def outlook(
        self,
        sender: bytes,
        blocks: int,
        *,
        legacy: bool = False,
        others: Sequence[bytes] = (),
        call: tuple[bytes | None, bytes] | None = None,
    ) -> Outlook:
        """Return what one node says of the next transaction, but for the nonces that are used."""
        seen = super().outlook(sender, blocks, legacy=legacy, call=call)
        return replace(seen, nonces_used=self.nonces_used((sender, *others)))

    # -- enough nodes must say the same --------------------------------------------------------

    def agreed(self, what: str, question: Callable[[ChainClient], Answer]) -> Answer:
        return self._voting.agreed(what, question)

    def nonce(self, address: bytes, block: str = "latest") -> int:
        if block == "latest":
            return self._mined([address], self.head())[0]
        return self.nonces_used([address])[address]

    def nonces_used(self, keys: Sequence[bytes]) -> dict[bytes, int]:
        """Return how many transactions of each key are on chain, or in the pools of the nodes.

        Pools differ, and what one has may be mined yet; but one of three alone stops nobody.
        """
        mined = self._mined(keys, self.head())
        pooled = self._voting.most_without_liars(_counts(keys, "pending"))
        return dict(zip(keys, map(max, mined, pooled), strict=True))

    def nonce_and_height(self, address: bytes) -> tuple[int, int]:
        head = self.head()
        return self._mined([address], head)[0], head.number

    def _mined(self, keys: Sequence[bytes], head: Block) -> list[int]:
        """Return how many transactions of each key are on chain, up to a block."""
        at = {"blockHash": hex_of(head.hash)}
        return self._voting.agreed("the nonces at a block", _counts(keys, at))

    def code(self, address: bytes) -> bytes:
        at = {"blockHash": hex_of(self.head().hash)}
        return read_bytes(self.request("eth_getCode", hex_of(address), at))

    def head(self) -> Block:
        return self._panel.look().head

    def block_number(self) -> int:
        return self.head().number

    def block(self, block: BlockId) -> Block | None:
        """Return a header; that nodes do not have it yet is not taken for a reorg.

        Raises
        ------
        NoQuorum
            The block is above what the nodes have, and none of them shows another branch.
        """
        if block == "latest":
            return self.head()
        if block in {"safe", "finalized"}:
            return self._polling.tagged(str(block))
        if isinstance(block, str):
            return super().block(block)
        if isinstance(block, int) and block > (newest := self._height(block)):
            self._require_lost(block, newest)
            return None
        return self._voting.agreed("a header", lambda client: client.block(block))

    def headers(self, numbers: Sequence[int]) -> list[Block | None]:
        """Return the headers of many blocks; None where a reorg took one.

        Raises
        ------
        NoQuorum
            One is above what the nodes have, as in `block`.
        """
        if not numbers:
            return []
        newest = self._height(max(numbers))
        asked = [number for number in numbers if number <= newest]
        for number in set(numbers).difference(asked):
            self._require_lost(number, newest)
        found = dict(
            zip(
                asked,
                self._voting.agreed("headers", lambda client: client.headers(asked)),
                strict=True,
            )
        )
        return [found.get(number) for number in numbers]

    def logs(self, addresses: Sequence[bytes], first: int, last: int) -> list[msgspec.Raw]:
        return self._voting.agreed(
            f"the logs of blocks {first} to {last}",
            lambda client: client.logs(addresses, first, last),
            same_logs,
            blocks=last - first + 1,
        )

    def logs_of_block(self, addresses: Sequence[bytes], block_hash: bytes) -> list[msgspec.Raw]:
        """Return the logs of a block; all nodes are asked, for some give none too soon.

        It is asked where a block's own filter says that there may be some. Where too few give
        some and others none, the block's receipts tell who is right.

        Raises
        ------
        NoQuorum
            As many nodes give other logs.
        RpcInconsistent
            Too many of them have left logs out, for the moment.
        """
        what = "the logs of a block"
        vote = self._voting.of_all(
            lambda client: client.logs_of_block(addresses, block_hash), same_logs
        )
        is_told = self._voting.is_enough(vote) and vote.answers[vote.most[0]]
        if vote.others and not is_told and not all(vote.answers.values()):
            try:
                heard = self.emitters(block_hash)
            except (RpcRefused, NotKept):
                raise self._panel.dispute(what, vote.groups) from None
            if not heard.isdisjoint(addresses):
                raise RpcInconsistent("too many nodes left out the logs of a block")
        return self._voting.decided(what, vote)

    def emitters(self, block_hash: bytes) -> set[bytes]:
        return self._voting.agreed(
            "the receipts of a block", lambda client: client.emitters(block_hash)
        )

    def transactions(self, mined: Mapping[bytes, int]) -> dict[bytes, Sent]:
        return self._voting.agreed("transactions", lambda client: client.transactions(mined))

    def kept_transactions(self, mined: Mapping[bytes, int]) -> dict[bytes, Sent]:
        """Return what enough nodes say; of which too few have kept one, it is left out."""
        try:
            return self.transactions(mined)
        except NotKept:
            if len(mined) == 1:
                return {}
        asked = list(mined.items())
        half = len(asked) // 2
        return self.kept_transactions(dict(asked[:half])) | self.kept_transactions(
            dict(asked[half:])
        )

    def _height(self, wanted: int) -> int:
        """Return the agreed height; it is looked for again where it is below what is wanted."""
        height = self._panel.look(VALID_SECONDS).head.number
        return height if wanted <= height else self._panel.look().head.number

    def _require_lost(self, number: int, newest: int) -> None:
        """Wait for a block that the nodes have not come to, unless they show another branch."""
        if not self._panel.is_lost(number):
            raise NoQuorum(
                "nodes_behind", f"The nodes are at block {newest}; {number} was read before."
            )

    def receipts(self, tx_hashes: Sequence[bytes]) -> list[Receipt | None]:
        return self._polling.receipts(tx_hashes)

    # -- writing -----------------------------------------------------------------------------

    def send_raw(self, raw: bytes) -> bytes:
        """Hand a signed transaction to all nodes; it is sent when one of them has taken it."""
        (refused,) = self.send_raws([raw])
        if refused is not None:
            raise refused
        return keccak(raw)

    def send_raws(self, raws: Sequence[bytes]) -> list[RpcRefused | None]:
        """Hand signed transactions to all nodes; one is sent when one of them has taken it."""
        self._panel.look(VALID_SECONDS)
        said = self._panel.each(
            [node for node in self._panel.nodes if node.is_asked],
            lambda node: node.client.send_raws(raws),
            PROBE_SECONDS * len(raws),
            enough=lambda said, _: _are_taken(said.values()),
        ).values()
        if not said:
            raise RpcUnavailable("no node of RPC_URL took the transaction")
        return [None if None in answers else answers[0] for answers in zip(*said, strict=True)]


def _are_taken(said: Collection[Sequence[RpcRefused | None]]) -> bool:
    """Tell whether each transaction was taken by some node."""
    return bool(said) and all(None in answers for answers in zip(*said, strict=True))


def _counts(keys: Sequence[bytes], block: Any) -> Callable[[ChainClient], list[int]]:
    """Ask how many transactions of each key there are."""
    calls = [("eth_getTransactionCount", (hex_of(key), block)) for key in keys]
    return lambda client: list(map(read_number, client.batch(calls)))

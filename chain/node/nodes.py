"""Several nodes as one: what enough of them say is believed, the others are left out (ADR 0034).

All reading goes to one node of those that agree, so that what is read together is of one node; a
failing one is left out and the next is asked. Heads, tags and receipts, by which things become
final, are what enough nodes say. Transactions go to all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from eth_utils.crypto import keccak

from chain.errors import NoQuorum, RpcInconsistent, RpcRefused, RpcUnavailable, WrongChain
from chain.node.answers import Block, BlockId, Receipt
from chain.node.client import TIMEOUT_SECONDS, ChainClient
from chain.node.limits import RateLimit
from chain.node.panel import VALID_SECONDS, Panel
from chain.node.pooled_node import PROBE_SECONDS, NodeState, NodeStatus, PooledNode
from chain.node.quorum import Rules, Verdict

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

    # -- one node is asked -------------------------------------------------------------------

    def _ask(self, question: Callable[[ChainClient], Answer]) -> Answer:
        """Ask one node that is believed, and another one where it fails."""
        for _ in self._panel.nodes:
            node = self._panel.choose()
            try:
                return question(node.client)
            except (RpcUnavailable, RpcInconsistent) as fault:
                self._panel.blame(node, fault)
        raise RpcUnavailable("no node of RPC_URL answers")

    def request(self, method: str, *params: Any) -> Any:
        return self._ask(lambda client: client.request(method, *params))

    def batch(self, calls: Sequence[tuple[str, tuple[Any, ...]]]) -> list[Any]:
        return self._ask(lambda client: client.batch(calls))

    def headers(self, numbers: Sequence[int]) -> list[Block | None]:
        return self._ask(lambda client: client.headers(numbers))

    def logs(self, addresses: Sequence[bytes], first: int, last: int) -> list[msgspec.Raw]:
        return self._ask(lambda client: client.logs(addresses, first, last))

    def nonce_and_height(self, address: bytes) -> tuple[int, int]:
        nonce, height = super().nonce_and_height(address)
        return nonce, min(height, self.block_number())

    # -- enough nodes must say the same --------------------------------------------------------

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
            return self._tagged(str(block))
        found = super().block(block)
        if found is None and isinstance(block, int):
            newest = self._panel.look(VALID_SECONDS).head.number
            if block > newest and not self._panel.is_lost(block):
                raise NoQuorum(
                    "nodes_behind", f"The nodes are at block {newest}; {block} was read before."
                )
        return found

    def _ask_members(
        self, question: Callable[[ChainClient], Answer]
    ) -> tuple[Verdict, list[Answer | RpcRefused], int]:
        """Ask all nodes that have the agreed head; also how many of them must say the same."""
        verdict = self._panel.look()
        said = self._panel.each(
            self._panel.members(verdict),
            lambda node: _or_refusal(lambda: question(node.client)),
            TIMEOUT_SECONDS,
        )
        if len(said) < self._panel.rules.agreeing:
            raise NoQuorum("too_few_nodes", f"Only {len(said)} nodes answered.")
        return verdict, list(said.values()), self._panel.rules.needed(len(said))

    def logs_of_block(self, addresses: Sequence[bytes], block_hash: bytes) -> list[msgspec.Raw]:
        """Return the logs of a block on which most nodes that have any agree.

        It is asked where a block's own filter says that there may be some.

        Raises
        ------
        NoQuorum
            As many nodes give other logs.
        """
        _, said, _ = self._ask_members(lambda client: client.logs_of_block(addresses, block_hash))
        given = [logs for logs in said if not isinstance(logs, RpcRefused)]
        if not given:
            raise next(refused for refused in said if isinstance(refused, RpcRefused))
        told = [logs for logs in given if logs]
        counts = [told.count(logs) for logs in told]
        most = [logs for logs, count in zip(told, counts, strict=True) if count == max(counts)]
        if any(logs != most[0] for logs in most):
            raise NoQuorum("nodes_disagree", "The nodes disagree about the logs of a block.")
        return most[0] if most else []

    def _tagged(self, tag: str) -> Block | None:
        """Return the newest block to which enough nodes give a tag, if it is the same one."""
        _, said, needed = self._ask_members(lambda client: client.block(tag))
        found = [block for block in said if isinstance(block, Block)]
        if len(found) < needed:
            for refused in said:
                if isinstance(refused, RpcRefused):
                    raise refused
            return None
        lowest = sorted(found, key=lambda block: block.number, reverse=True)[needed - 1]
        known = super().block(lowest.number)
        if known is None or known.hash != lowest.hash:
            raise NoQuorum("nodes_disagree", f"The nodes disagree about their {tag} block.")
        return lowest

    def receipts(self, tx_hashes: Sequence[bytes]) -> list[Receipt | None]:
        """Return what enough nodes say became of each transaction, in blocks that are agreed on.

        Raises
        ------
        NoQuorum
            One node has a receipt and another has none, or another one.
        """
        if not tx_hashes:
            return []
        verdict, said, needed = self._ask_members(lambda client: client.receipts(tx_hashes))
        answers = [answer for answer in said if not isinstance(answer, RpcRefused)]
        return [
            _agreed(verdict, [answer[place] for answer in answers], needed)
            for place in range(len(tx_hashes))
        ]

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
        ).values()
        if not said:
            raise RpcUnavailable("no node of RPC_URL took the transaction")
        return [None if None in answers else answers[0] for answers in zip(*said, strict=True)]


def _or_refusal(call: Callable[[], Answer]) -> Answer | RpcRefused:
    """Give a refusal as an answer: another node may say something else."""
    try:
        return call()
    except RpcRefused as refused:
        return refused


def _agreed(verdict: Verdict, said: Sequence[Receipt | None], needed: int) -> Receipt | None:
    """Return the receipt that enough nodes give; above the agreed head there is none yet."""
    votes: dict[tuple[bytes, bool] | None, list[Receipt | None]] = {}
    for receipt in said:
        if receipt is None or receipt.block_number > verdict.head.number:
            votes.setdefault(None, []).append(None)
        else:
            votes.setdefault((receipt.block_hash, receipt.succeeded), []).append(receipt)
    most = max(votes.values(), key=len, default=[])
    if len(most) < needed:
        raise NoQuorum("nodes_disagree", "The nodes disagree about a transaction's receipt.")
    return most[0]

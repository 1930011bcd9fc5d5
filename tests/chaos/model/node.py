"""The model behind JSON-RPC: what an honest node answers, and where it is asked to lie."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.chaos.model import calls
from tests.chaos.model.acts import FACTORY, Act
from tests.chaos.model.chain import Block, Chain
from tests.chaos.model.lies import LOGS, Liar
from tests.chaos.model.state import State

CHAIN_ID = 31337
LIES_BELOW_HEAD = 100
DEEP_BELOW_HEAD = 140
"""From there down no header is read for its own sake (`chain.sync.near_head`)."""
KEPT_STATES = 127
UNKNOWN_BLOCK = -39001
REFUSED, BAD_PARAMETERS, REVERTED = -32000, -32602, 3
TOO_MANY = -32005


class Refusal(Exception):
    """A JSON-RPC error."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(slots=True)
class Habits:
    """How this node differs from others.

    Parameters
    ----------
    finality
        Which block it calls final: so many below the head; None: it does not know the tag.
    stuck_at
        It calls this one final, whatever happens.
    widest, most_logs
        What it gives at once.
    forgets_branches
        Whether it has nothing any more of blocks that lost.
    prunes
        Whether it keeps the newest states only.
    lends_code
        Whether `eth_call` takes overrides of code.
    has_multicall
        Whether Multicall3 stands on its chain.
    hides
        Whether its headers leave some transactions out, as those of the chain itself.
    """

    finality: int | None = 64
    stuck_at: int | None = None
    widest: int = 10_000
    most_logs: int = 100_000
    forgets_branches: bool = False
    prunes: bool = False
    lends_code: bool = True
    has_multicall: bool = False
    hides: bool = False


class Met(StrEnum):
    """What this node does that another would not, as it is counted."""

    FOREIGN = "answers of another chain"
    LATE = "answers of a node that is behind"
    TOO_WIDE = "range refused as too wide"
    TOO_MANY = "range refused for too many logs"
    PRUNED = "state refused as pruned"
    NO_TAG = "tag of finality refused"
    STUCK_TAG = "tag of finality that is stuck"
    NO_BRANCH = "block of a lost branch refused"
    HIDDEN = "header without one of its transactions"


@dataclass(slots=True)
class Ambush:
    """Something that happens to the chain right after a certain answer.

    Parameters
    ----------
    skip
        So many calls of the method come before.
    """

    method: str
    skip: int
    spring: Callable[[], object]


class Node:
    """Answers one call after the other.

    Parameters
    ----------
    seed
        Decides what a lie leaves open.
    """

    def __init__(self, chain: Chain, habits: Habits, seed: int) -> None:
        self._home = chain
        self.foreign: Chain | None = None
        """What it serves instead, under another chain id."""
        self.habits = habits
        self.behind = 0
        """By so many blocks the answers lag that `lags` names."""
        self.liar = Liar(seed)
        self.ambushes: list[Ambush] = []
        self.met: Counter[Met] = Counter()
        self.heard_of: set[bytes] = set()
        """Hashes of the blocks of which it has told."""
        self._dice = random.Random(f"node {seed}")
        self._methods: dict[str, Callable[..., Any]] = {
            "eth_chainId": lambda: hex(CHAIN_ID + (self.foreign is not None)),
            "eth_blockNumber": lambda: hex(self._head().number),
            "eth_getBlockByNumber": lambda tag, _: self._header(self._by_tag(tag)),
            "eth_getBlockByHash": lambda digest, _: self._header(self._by_hash(digest)),
            "eth_getLogs": self._logs,
            "eth_getBlockReceipts": self._receipts,
            "eth_getTransactionByHash": self._transaction,
            "eth_getTransactionByBlockHashAndIndex": self._transaction_at,
            "eth_getTransactionReceipt": self._receipt,
            "eth_call": self._call,
            "eth_getCode": self._code,
        }

    @property
    def chain(self) -> Chain:
        return self.foreign or self._home

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Answer one call in JSON-RPC."""
        method, found = asked["method"], {"jsonrpc": "2.0", "id": asked["id"]}
        with self.chain.lock:
            try:
                if method not in self._methods:
                    raise Refusal(-32601, f"the method {method} does not exist")
                result = self._methods[method](*asked.get("params", ()))
                result = self._perhaps_lie(method, result)
                self.met[Met.FOREIGN] += self.foreign is not None
                found["result"] = result
            except Refusal as refusal:
                found["error"] = {"code": refusal.code, "message": refusal.message}
            self._spring(method)
        return found

    def _perhaps_lie(self, method: str, result: Any) -> Any:
        deep: list[int] = []
        if method == LOGS and result:
            head = self.chain.head.number
            numbers = [int(entry["blockNumber"], 16) for entry in result]
            if numbers[0] < head - LIES_BELOW_HEAD:
                floor = head - DEEP_BELOW_HEAD
                deep = [
                    place
                    for place, number in enumerate(numbers)
                    # Who deploys a token is believed: nobody asks about one that nobody named.
                    if number < floor and unhex(result[place]["address"]) != FACTORY
                ]
                if not deep:
                    return result
        return self.liar.tell(method, result, deep=deep)

    def heal(self) -> None:
        with self.chain.lock:
            self.liar.forget()
            self.ambushes.clear()
            self.behind = 0
            self.foreign = None

    def _spring(self, method: str) -> None:
        for ambush in list(self.ambushes):
            if ambush.method == method:
                ambush.skip -= 1
                if ambush.skip < 0:
                    self.ambushes.remove(ambush)
                    ambush.spring()

    # -- blocks ------------------------------------------------------------------------------

    def _head(self) -> Block:
        canonical = self.chain.canonical
        # Another node behind the same address, which has not heard of the newest blocks.
        late = self._dice.randrange(self.behind + 1) if self.behind else 0
        self.met[Met.LATE] += late > 0
        return canonical[max(len(canonical) - 1 - late, 0)]

    def _by_tag(self, tag: str) -> Block | None:
        head = self._head()
        if tag in {"latest", "pending"}:
            return head
        if tag in {"finalized", "safe"}:
            if self.habits.finality is None:
                self.met[Met.NO_TAG] += 1
                raise Refusal(BAD_PARAMETERS, f"invalid block tag {tag}")
            number = head.number - self.habits.finality
            if self.habits.stuck_at is not None:
                self.met[Met.STUCK_TAG] += 1
                number = min(self.habits.stuck_at, head.number)
            return self.chain.canonical[max(number, 0)]
        number = int(tag, 16) if tag != "earliest" else 0
        return self.chain.canonical[number] if number <= head.number else None

    def _by_hash(self, digest: str) -> Block | None:
        block = self.chain.known.get(unhex(digest))
        if block is not None and self.habits.forgets_branches and not self._is_canonical(block):
            self.met[Met.NO_BRANCH] += 1
            return None
        return block

    def _is_canonical(self, block: Block) -> bool:
        canonical = self.chain.canonical
        return block.number < len(canonical) and canonical[block.number] is block

    def _header(self, block: Block | None) -> dict[str, Any] | None:
        if block is None:
            return None
        self.heard_of.add(block.hash)
        told = [each.act for each in block.mined if not (self.habits.hides and _is_own(each.act))]
        self.met[Met.HIDDEN] += len(told) < len(block.mined)
        return {
            "number": hex(block.number),
            "hash": enhex(block.hash),
            "parentHash": enhex(block.parent_hash),
            "timestamp": hex(block.timestamp),
            "logsBloom": enhex(block.bloom),
            "gasLimit": hex(30_000_000),
            "gasUsed": hex(21_000 * len(block.mined)),
            "baseFeePerGas": "0x7",
            "miner": "0x" + "00" * 20,
            "extraData": "0x",
            "transactions": [enhex(act.hash) for act in told],
        }

    # -- logs --------------------------------------------------------------------------------

    def _logs(self, query: dict[str, Any]) -> list[dict[str, Any]]:
        wanted = query.get("address", [])
        addresses = {unhex(each) for each in ([wanted] if isinstance(wanted, str) else wanted)}
        if "blockHash" in query:
            block = self._by_hash(query["blockHash"])
            if block is None:
                raise Refusal(REFUSED, "unknown block")
            blocks = [block]
        else:
            first, last = int(query["fromBlock"], 16), int(query["toBlock"], 16)
            if last - first + 1 > self.habits.widest:
                self.met[Met.TOO_WIDE] += 1
                raise Refusal(TOO_MANY, f"block range is limited to {self.habits.widest}")
            blocks = self.chain.canonical[first : min(last, self._head().number) + 1]
        found = [
            entry
            for block in blocks
            for entry in logs_of(block)
            if unhex(entry["address"]) in addresses
        ]
        if len(found) > self.habits.most_logs and len(blocks) > 1:
            self.met[Met.TOO_MANY] += 1
            raise Refusal(TOO_MANY, f"query returned more than {self.habits.most_logs} results")
        return found

    def _receipts(self, tag: Any) -> list[dict[str, Any]] | None:
        digest = str(tag["blockHash"] if isinstance(tag, dict) else tag)
        block = self._by_hash(digest) if len(digest) == 66 else self._by_tag(digest)
        if block is None:
            return None
        logs = logs_of(block)
        return [
            {
                "transactionHash": enhex(each.act.hash),
                "transactionIndex": hex(index),
                "blockHash": enhex(block.hash),
                "blockNumber": hex(block.number),
                "status": "0x1" if each.outcome.logs else "0x0",
                "gasUsed": "0x5208",
                "contractAddress": None,
                "logs": [log for log in logs if log["transactionIndex"] == hex(index)],
            }
            for index, each in enumerate(block.mined)
        ]

    def _receipt(self, digest: str) -> dict[str, Any] | None:
        mined = self.chain.transactions.get(unhex(digest))
        for block in reversed(self.chain.canonical):
            if mined is not None and any(each.act == mined.act for each in block.mined):
                found = self._receipts(enhex(block.hash)) or []
                return next(each for each in found if each["transactionHash"] == digest)
        return None

    def _transaction(self, digest: str) -> dict[str, Any] | None:
        mined = self.chain.transactions.get(unhex(digest))
        if mined is None:
            return None
        return {
            "hash": digest,
            "from": enhex(mined.outcome.sender),
            "to": enhex(mined.outcome.to),
            "input": enhex(mined.outcome.data),
        }

    def _transaction_at(self, digest: str, index: str) -> dict[str, Any] | None:
        block, place = self._by_hash(digest), int(index, 16)
        if block is None or place >= len(block.mined):
            return None
        return self._transaction(enhex(block.mined[place].act.hash))

    def _code(self, address: str, where: Any = "latest") -> str:
        if unhex(address) == calls.MULTICALL:
            return "0x60" if self.habits.has_multicall else "0x"
        return "0x60" if calls.has_code(self._state(where), unhex(address)) else "0x"

    # -- state -------------------------------------------------------------------------------

    def _call(self, asked: dict[str, str], where: Any = "latest", lent: Any = None) -> str:
        if lent and not self.habits.lends_code:
            raise Refusal(BAD_PARAMETERS, "too many arguments, want at most 2")
        data = unhex(asked.get("data") or asked.get("input") or "0x")
        to = unhex(asked["to"])
        try:
            said = calls.call(
                self._state(where),
                to,
                data,
                overridden=bool(lent),
                has_multicall=self.habits.has_multicall,
            )
        except calls.CallReverts:
            raise Refusal(REVERTED, "execution reverted") from None
        return enhex(said)

    def _state(self, where: Any) -> State:
        if isinstance(where, dict):
            digest = where.get("blockHash")
            block = self._by_hash(digest) if digest else self._by_tag(where["blockNumber"])
        else:
            block = self._by_tag(where)
        if block is None:
            raise Refusal(REFUSED, "header not found")
        if self.habits.prunes and block.number < self.chain.head.number - KEPT_STATES:
            self.met[Met.PRUNED] += 1
            raise Refusal(REFUSED, "missing trie node")
        return block.state


def _is_own(act: Act) -> bool:
    """Tell whether a transaction is one that the chain makes by itself, here by chance."""
    return act.number % 5 == 0


def logs_of(block: Block) -> list[dict[str, Any]]:
    """Give every log of a block as JSON-RPC writes it."""
    places = {each.act.hash: index for index, each in enumerate(block.mined)}
    return [
        {
            "address": enhex(log.address),
            "topics": [enhex(each) for each in log.topics],
            "data": enhex(log.data),
            "blockNumber": hex(block.number),
            "blockHash": enhex(block.hash),
            "transactionHash": enhex(mined.act.hash),
            "transactionIndex": hex(places[mined.act.hash]),
            "logIndex": hex(index),
            "removed": False,
        }
        for index, mined, log in block.placed_logs()
    ]


def unhex(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def enhex(value: bytes) -> str:
    return "0x" + value.hex()

"""Many questions about one block in one call: Multicall3 where it stands, its like where not.

Most chains have Multicall3 at one address. Where one has not, our own `CallBatch` is lent to the
node for the call (the state override of `eth_call`, which geth, its kin and anvil have). A node
that does neither is asked in JSON-RPC batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

import structlog

from chain.contracts.abi import contract
from chain.errors import RpcInconsistent, RpcRefused
from chain.node.client import ChainClient, bytes_of, call_params, hex_of

log = structlog.get_logger()

MULTICALL3 = bytes.fromhex("ca11bde05977b3631167028862be2a173976ca11")
"""https://github.com/mds1/multicall3 (MIT): the same address on every chain that has it."""
AGGREGATE3 = bytes.fromhex("82ad56cb")
BATCH = 500
CALLS_AT_ONCE = 2_500
"""About 25 million gas: nodes allow 50 million for a call."""

Call = tuple[bytes, bytes]
"""Whom, and the calldata."""
WORD = 32


class _Way(Enum):
    DEPLOYED = "deployed"
    LENT = "lent"
    BATCH = "batch"


class ManyCalls:
    """Asks one node."""

    def __init__(self, client: ChainClient) -> None:
        self._client = client
        self._way: _Way | None = None
        self._at_once = CALLS_AT_ONCE

    def ask(self, calls: Sequence[Call], block_hash: bytes) -> list[bytes | None]:
        """Return each answer as of a block, in the order of `calls`; None where one was refused.

        Raises
        ------
        RpcRefused
            The node does not have the state of that block.
        """
        if self._way is None:
            self._way = self._find_way()
            log.info("calls_are_asked", chain=self._client.chain_id, way=self._way.value)
        answers: list[bytes | None] = []
        while len(answers) < len(calls):
            some = calls[len(answers) : len(answers) + self._at_once]
            answers += self._ask(some, block_hash)
        return answers

    def _ask(self, calls: Sequence[Call], block_hash: bytes) -> list[bytes | None]:
        if self._way is not _Way.BATCH:
            try:
                data = self._call(encode_aggregate(calls), block_hash)
                if data:
                    return decode_aggregate(data, len(calls))
            except RpcRefused as refused:
                # Too much gas, too long an answer, or an old block: the batch tells which.
                self._at_once = max(self._at_once // 2, BATCH)
                log.info("calls_at_once", calls=self._at_once, reason=refused.message)
        return self._ask_one_by_one(calls, block_hash)

    def _call(self, data: bytes, block_hash: bytes) -> bytes:
        lent = () if self._way is _Way.DEPLOYED else ({hex_of(MULTICALL3): {"code": _code()}},)
        params = call_params(MULTICALL3, data, None, block_hash)
        return bytes_of(self._client.request("eth_call", *params, *lent))

    def _find_way(self) -> _Way:
        if self._client.code(MULTICALL3):
            return _Way.DEPLOYED
        self._way = _Way.LENT
        try:
            is_lent = bool(self._call(encode_aggregate([]), self._client.head().hash))
        except RpcRefused:
            is_lent = False
        return _Way.LENT if is_lent else _Way.BATCH

    def _ask_one_by_one(self, calls: Sequence[Call], block_hash: bytes) -> list[bytes | None]:
        answers: list[bytes | None] = []
        for start in range(0, len(calls), BATCH):
            some = calls[start : start + BATCH]
            try:
                found = self._client.batch(
                    [("eth_call", call_params(to, data, None, block_hash)) for to, data in some]
                )
                answers += [bytes_of(answer) for answer in found]
            except RpcRefused as refused:
                if not refused.is_revert:
                    raise
                answers += [self._ask_one(call, block_hash) for call in some]
        return answers

    def _ask_one(self, call: Call, block_hash: bytes) -> bytes | None:
        try:
            return self._client.call(*call, block=block_hash)
        except RpcRefused as refused:
            if not refused.is_revert:
                raise
            return None


def _code() -> str:
    return hex_of(contract("CallBatch").deployed)


def encode_aggregate(calls: Sequence[Call]) -> bytes:
    """Give the calldata of `aggregate3`, failures allowed.

    By hand: the general encoder takes longer for it than the node for its answer.
    """
    heads, tails = [], []
    offset = len(calls) * WORD
    for to, data in calls:
        heads.append(number_word(offset))
        padding = bytes(-len(data) % WORD)
        tail = b"".join(
            (
                address_word(to),
                number_word(1),
                number_word(96),
                number_word(len(data)),
                data,
                padding,
            )
        )
        tails.append(tail)
        offset += len(tail)
    return b"".join((AGGREGATE3, number_word(WORD), number_word(len(calls)), *heads, *tails))


def decode_aggregate(data: bytes, wanted: int) -> list[bytes | None]:
    """Read the answer of `aggregate3`.

    Raises
    ------
    RpcInconsistent
        It is not one, or not of so many calls.
    """
    start = _at(data, 0) + WORD
    if _at(data, start - WORD) != wanted:
        raise RpcInconsistent(f"{wanted} calls in one got other answers than theirs")
    answers: list[bytes | None] = []
    for place in range(wanted):
        result = start + _at(data, start + place * WORD)
        body = result + _at(data, result + WORD)
        length = _at(data, body)
        answer = data[body + WORD : body + WORD + length]
        if len(answer) != length:
            raise RpcInconsistent("the answer to many calls in one is cut short")
        answers.append(answer if _at(data, result) else None)
    return answers


def number_word(value: int) -> bytes:
    """Give a number as calldata has it."""
    return value.to_bytes(WORD, "big")


def address_word(address: bytes) -> bytes:
    """Give an address as calldata has it."""
    return address.rjust(WORD, b"\0")


def _at(data: bytes, place: int) -> int:
    word = data[place : place + WORD]
    if len(word) != WORD:
        raise RpcInconsistent("the answer to many calls in one is cut short")
    return int.from_bytes(word, "big")

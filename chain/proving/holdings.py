"""What many holders of a token have at one block, asked of the node a thousand at a time.

A call for each costs the node far more than the answer: ten thousand took half of a second. So the
code of `HoldingReader` is handed along with the call (the state override of ``eth_call``, which
geth, Erigon, Nethermind, Besu, Reth and anvil have), for an address where nothing is: it asks the
token from within. Where a node knows no overrides, each is asked for by itself (ADR 0035); so is
each of a token that takes more gas than a call may have, even for a few.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from eth_utils.crypto import keccak

from chain.contracts.abi import contract
from chain.errors import RpcRefused
from chain.node.client import ChainClient, bytes_of, call_params, hex_of

HOLDERS_AT_ONCE = 1_000
"""Of a T-REX token, some ten million gas; nodes allow calls of fifty."""
FEWEST_HOLDERS = 50
"""Of fewer, that they are asked at once saves nothing."""
CALLS_AT_ONCE = 500
IN_FLIGHT = 2
"""Calls: what one answer says is read while the node makes the next."""
PLACE = keccak(text="HoldingReader")[12:]
WORD = 32
_PADDING = bytes(12)


class HoldingReader:
    """Reads balances and frozen parts of one chain."""

    def __init__(self, client: ChainClient) -> None:
        self._client = client
        self._overrides: bool | None = None
        self._most: dict[bytes, int] = {}
        """Holders of a token that one call may read; 0 where each is asked for by itself."""

    def read(self, token: bytes, holders: Sequence[bytes], block_hash: bytes) -> list[int]:
        """Return balance and frozen part of the first holder, of the second, and so on.

        Raises
        ------
        RpcRefused
            The node does not have the block, or the token refuses to tell.
        """
        if self._overrides is None:
            # Of nobody: whatever is refused then, it is not for the token's sake.
            self._overrides = self._at_once(token, [], block_hash) is not None
        pieces = [
            holders[start : start + HOLDERS_AT_ONCE]
            for start in range(0, len(holders), HOLDERS_AT_ONCE)
        ]
        try:
            with ThreadPoolExecutor(IN_FLIGHT) as asking:
                found = asking.map(lambda some: self._piece(token, some, block_hash), pieces)
                return list(chain.from_iterable(found))
        except RpcRefused:
            # Of a block that the node does not have, everything is refused: nothing was learned.
            self._overrides = None
            self._most.pop(token, None)
            raise

    def _piece(self, token: bytes, holders: Sequence[bytes], block_hash: bytes) -> list[int]:
        most = self._most.get(token, HOLDERS_AT_ONCE) if self._overrides else 0
        if not most:
            return self._one_by_one(token, holders, block_hash)
        if len(holders) <= most:
            found = self._at_once(token, holders, block_hash)
            if found is not None:
                return found
            self._most[token] = len(holders) // 2 if len(holders) > FEWEST_HOLDERS else 0
            return self._piece(token, holders, block_hash)
        half = len(holders) // 2
        return self._piece(token, holders[:half], block_hash) + self._piece(
            token, holders[half:], block_hash
        )

    def _at_once(
        self, token: bytes, holders: Sequence[bytes], block_hash: bytes
    ) -> list[int] | None:
        """Ask from within; None where the node refuses, or ignores the code."""
        reader = contract("HoldingReader")
        words = [_PADDING + token, _word(2 * WORD), _word(len(holders))]
        data = b"".join(
            [reader.functions["read"].selector, *words, *(_PADDING + holder for holder in holders)]
        )
        params = call_params(PLACE, data, None, block_hash)
        try:
            answer = self._client.request(
                "eth_call", *params, {hex_of(PLACE): {"code": hex_of(reader.deployed)}}
            )
        except RpcRefused:
            return None
        told = bytes_of(answer)
        count = 2 * len(holders)
        if len(told) != (2 + count) * WORD or told[: 2 * WORD] != _word(WORD) + _word(count):
            return None
        return [
            int.from_bytes(told[place : place + WORD], "big")
            for place in range(2 * WORD, len(told), WORD)
        ]

    def _one_by_one(self, token: bytes, holders: Sequence[bytes], block_hash: bytes) -> list[int]:
        functions = contract("Token").functions
        asked = [
            functions[name].encode(hex_of(holder))
            for holder in holders
            for name in ("balanceOf", "getFrozenTokens")
        ]
        answers: list[int] = []
        for start in range(0, len(asked), CALLS_AT_ONCE):
            calls = [
                ("eth_call", call_params(token, data, None, block_hash))
                for data in asked[start : start + CALLS_AT_ONCE]
            ]
            answers += [_amount(bytes_of(answer)) for answer in self._client.batch(calls)]
        return answers


def _amount(told: bytes) -> int:
    if len(told) < WORD:
        raise RpcRefused("eth_call", 0, "the token tells no amount", None)
    return int.from_bytes(told[:WORD], "big")


def _word(number: int) -> bytes:
    return number.to_bytes(WORD, "big")

"""What nodes were seen to say that is not so; each kind names whose bug it was.

Sources: `chain-sync.md` sections 2 and 5 (go-ethereum #31593 and #16734, reth #11427,
lotus #12549, boundless #1538).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tests.chaos.model.chain import Block

LOGS, HEADER, TRANSACTION = "eth_getLogs", "eth_getBlockByNumber", "eth_getTransactionByHash"
RECEIPTS, RECEIPT = "eth_getBlockReceipts", "eth_getTransactionReceipt"
FAR_FUTURE = 2**63
FAR_NUMBER = 2**64
"""What no number of a block may be: beyond uint64."""


class Kind(StrEnum):
    NO_LOGS = "no logs where there are some"
    NO_LOGS_OF_A_BLOCK = "no logs of one block"
    NO_LOGS_OF_AN_ADDRESS = "no logs of one address in one block"
    NO_LOGS_AT_THE_END = "no logs of the last block"
    WRONG_TX = "a log with the hash of a transaction that is elsewhere"
    WRONG_BLOCK = "a log with another block's hash"
    TWICE = "a log twice"
    BACKWARDS = "logs out of order"
    REMOVED = "a log that is called removed"
    ELSEWHERE = "a log of a block that was not asked for"
    OLD_BRANCH = "logs of the branch that lost"
    GIBBERISH = "a log whose numbers are none"
    NO_HEADER = "null for a header that is there"
    OTHER_HEADER = "the header of another block"
    LOST_HEADER = "the header of the branch that lost"
    FAR_FUTURE = "a header of a time that no calendar has"
    FAR_NUMBER = "a header of a number beyond uint64"
    FAR_BLOCK = "a log of a block beyond uint64"
    FAR_INDEX = "a log of an index beyond uint64"
    NO_TRANSACTION = "null for a transaction that is there"
    NO_RECEIPTS = "null for the receipts of a block that is there"
    NO_RECEIPT = "null for a receipt that is there"
    DEEP_NOTHING = "deep down, no logs where there are some"
    DEEP_BLOCK = "deep down, no logs of one block"
    DEEP_LOG = "deep down, all logs but one"


OF_METHOD = {
    Kind.NO_HEADER: HEADER,
    Kind.OTHER_HEADER: HEADER,
    Kind.LOST_HEADER: HEADER,
    Kind.FAR_FUTURE: HEADER,
    Kind.FAR_NUMBER: HEADER,
    Kind.NO_TRANSACTION: TRANSACTION,
    Kind.NO_RECEIPTS: RECEIPTS,
    Kind.NO_RECEIPT: RECEIPT,
}
DEEP = (Kind.DEEP_NOTHING, Kind.DEEP_BLOCK, Kind.DEEP_LOG)
"""Told where the sync reads no more headers than it must: no answer contradicts another."""
NEAR = tuple(kind for kind in Kind if kind not in DEEP)


@dataclass(slots=True)
class Lie:
    """One kind of lie, which is told so often after so many true answers."""

    kind: Kind
    skip: int
    times: int


Found = list[dict[str, Any]]
Logs = Callable[[Found, random.Random], Found]


class Liar:
    """Tells the lies that are ordered.

    Parameters
    ----------
    seed
        Decides what a lie leaves open.
    """

    def __init__(self, seed: int) -> None:
        self.told: list[str] = []
        self.lost: Sequence[Block] = ()
        """The branch that lost last, for lies about it."""
        self._orders: list[Lie] = []
        self._dice = random.Random(f"liar {seed}")

    def order(self, lie: Lie) -> None:
        self._orders.append(lie)

    def forget(self) -> None:
        self._orders.clear()

    def tell(self, method: str, result: Any, *, deep: Sequence[int]) -> Any:
        """Change an answer by the first lie that is meant for it and has something to change.

        Parameters
        ----------
        deep
            Places of the logs that no closer look protects; of the lies of logs, only those of
            `DEEP` are told where there are any.
        """
        for lie in self._orders:
            if OF_METHOD.get(lie.kind, LOGS) != method or not result:
                continue
            if method == LOGS and (lie.kind in DEEP) != bool(deep):
                continue
            if lie.skip > 0:
                lie.skip -= 1
                continue
            changed = self._changed(lie.kind, method, result, deep)
            if changed == result:
                continue
            lie.times -= 1
            if lie.times == 0:
                self._orders.remove(lie)
            self.told.append(lie.kind)
            return changed
        return result

    def _changed(self, kind: Kind, method: str, result: Any, deep: Sequence[int]) -> Any:
        if method in {TRANSACTION, RECEIPTS, RECEIPT} or kind == Kind.NO_HEADER:
            return None
        if kind in DEEP:
            return _without_deep(kind, result, deep, self._dice)
        if method == HEADER:
            return _of_header(kind, result, self.lost)
        if kind == Kind.OLD_BRANCH:
            return _old(result, self.lost)
        return _OF_LOGS[kind](list(result), self._dice)


def _of_header(kind: Kind, header: dict[str, Any], lost: Sequence[Block]) -> Any:
    if kind == Kind.FAR_FUTURE:
        return header | {"timestamp": hex(FAR_FUTURE)}
    if kind == Kind.FAR_NUMBER:
        return header | {"number": hex(FAR_NUMBER + int(header["number"], 16))}
    number = int(header["number"], 16)
    if kind == Kind.OTHER_HEADER:
        return header | {"number": hex(number + 1), "hash": header["parentHash"]}
    for block in lost:
        if block.number == number:
            changed = {
                "hash": block.hash,
                "parentHash": block.parent_hash,
                "logsBloom": block.bloom,
            }
            return header | {key: "0x" + value.hex() for key, value in changed.items()}
    return header


def _without_deep(kind: Kind, found: Found, deep: Sequence[int], dice: random.Random) -> Found:
    """Leave out of some logs, given by their places, all, or those of a block, or one."""
    chosen = dice.choice(deep)
    if kind == Kind.DEEP_NOTHING:
        gone = set(deep)
    elif kind == Kind.DEEP_BLOCK:
        number = found[chosen]["blockNumber"]
        gone = {place for place in deep if found[place]["blockNumber"] == number}
    else:
        gone = {chosen}
    return [entry for place, entry in enumerate(found) if place not in gone]


def _old(result: Found, lost: Sequence[Block]) -> Found:
    """Give, at the heights that were lost, the hashes of the blocks that lost."""
    hashes = {hex(block.number): "0x" + block.hash.hex() for block in lost}
    return [
        entry | {"blockHash": hashes.get(entry["blockNumber"], entry["blockHash"])}
        for entry in result
    ]


def _one(change: Callable[[dict[str, Any], random.Random], dict[str, Any]]) -> Logs:
    """Change one log of several."""

    def changed(found: Found, dice: random.Random) -> Found:
        place = dice.randrange(len(found))
        found[place] = found[place] | change(found[place], dice)
        return found

    return changed


def _without_block(found: Found, number: str) -> Found:
    return [entry for entry in found if entry["blockNumber"] != number]


def _without_address(found: Found, one: dict[str, Any]) -> Found:
    same = ("blockNumber", "address")
    return [entry for entry in found if any(entry[key] != one[key] for key in same)]


def _wrong_tx(found: Found, dice: random.Random) -> Found:
    place = dice.randrange(len(found))
    block = found[place]["blockNumber"]
    others = [each["transactionHash"] for each in found if each["blockNumber"] != block]
    others.append("0x" + dice.randbytes(32).hex())
    found[place] = found[place] | {"transactionHash": dice.choice(others)}
    return found


_OF_LOGS: dict[Kind, Logs] = {
    Kind.NO_LOGS: lambda _, __: [],
    Kind.NO_LOGS_OF_A_BLOCK: lambda found, dice: _without_block(
        found, dice.choice(found)["blockNumber"]
    ),
    Kind.NO_LOGS_OF_AN_ADDRESS: lambda found, dice: _without_address(found, dice.choice(found)),
    Kind.NO_LOGS_AT_THE_END: lambda found, _: _without_block(found, found[-1]["blockNumber"]),
    Kind.WRONG_TX: _wrong_tx,
    Kind.WRONG_BLOCK: _one(lambda _, dice: {"blockHash": "0x" + dice.randbytes(32).hex()}),
    Kind.TWICE: lambda found, dice: sorted(
        [*found, dice.choice(found)],
        key=lambda entry: (int(entry["blockNumber"], 16), int(entry["logIndex"], 16)),
    ),
    Kind.BACKWARDS: lambda found, _: found[::-1],
    Kind.REMOVED: _one(lambda _, __: {"removed": True}),
    Kind.ELSEWHERE: _one(
        lambda entry, _: {"blockNumber": hex(int(entry["blockNumber"], 16) + 500)}
    ),
    Kind.FAR_BLOCK: _one(
        lambda entry, _: {"blockNumber": hex(FAR_NUMBER + int(entry["blockNumber"], 16))}
    ),
    Kind.FAR_INDEX: _one(lambda _, __: {"logIndex": hex(FAR_NUMBER)}),
    Kind.GIBBERISH: _one(lambda _, __: {"logIndex": "0xzz"}),
}

"""What a node answers, in exact types, and how it is read; how the questions are written.

Whatever is read here may be nonsense. That is the node's fault, and told as such: an error that
nobody expects would stop all work, and the node would be asked again.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import msgspec

from chain.errors import REVERTED, RpcInconsistent, RpcRefused
from chain.node.wire import WireHeader, WireLog

BlockId = int | str | bytes
"""A number, a tag such as "latest", or a 32-byte hash (EIP-1898)."""
_NONSENSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What comes of reading nonsense; msgspec's own errors are of these."""

HASH_BYTES = 32

Given = ParamSpec("Given")
Told = TypeVar("Told")


class Block(msgspec.Struct, frozen=True, gc=False):
    """A block's header, of which a sync makes as many as there are blocks.

    Parameters
    ----------
    timestamp : int
        Seconds since the epoch.
    base_fee_wei : int
        0 on a chain without EIP-1559.
    gas_limit : int
        What all transactions of the block may use together.
    logs_bloom : int
        The filter of the block's logs, see `chain.node.bloom`.
    transactions : sequence of str
        Their hashes, 0x-hex, in the order of the block.
    """

    number: int
    hash: bytes
    parent_hash: bytes
    timestamp: int
    base_fee_wei: int
    gas_limit: int
    logs_bloom: int
    transactions: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Log:
    """One event as the node gives it."""

    address: bytes
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: bytes
    tx_hash: bytes
    log_index: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a transaction."""

    tx_hash: bytes
    block_number: int
    block_hash: bytes
    succeeded: bool
    gas_used: int
    contract_address: bytes | None
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """What a transaction asked for; `to` is None where it created a contract."""

    sender: bytes
    to: bytes | None
    data: bytes


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the next transaction of a key depends on.

    Parameters
    ----------
    balance_wei : int
        What the key has.
    base_fees_wei : tuple of int
        Per gas, of the newest blocks and last of the next one; empty where the node tells none.
    gas_price_wei : int or None
        What the node proposes on a chain without EIP-1559.
    nonces_used : mapping of bytes to int
        By key: its transactions on chain or waiting in the node's pool.
    gas : int or None
        What the call takes that was asked about with it.
    """

    head: Block
    balance_wei: int
    nonces_used: Mapping[bytes, int]
    base_fees_wei: tuple[int, ...]
    gas_price_wei: int | None
    gas: int | None = None


def hex_of(value: bytes) -> str:
    return "0x" + value.hex()


def bytes_of(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


def block_query(block: BlockId) -> tuple[str, Any, bool]:
    """Give the call that fetches a header."""
    if isinstance(block, bytes):
        return ("eth_getBlockByHash", hex_of(block), False)
    return ("eth_getBlockByNumber", hex(block) if isinstance(block, int) else block, False)


def call_params(
    to: bytes, data: bytes, sender: bytes | None, block: BlockId
) -> tuple[dict[str, str], Any]:
    """Give the parameters of an `eth_call`."""
    call = {"to": hex_of(to), "data": hex_of(data)}
    if sender is not None:
        call["from"] = hex_of(sender)
    if isinstance(block, bytes):
        return call, {"blockHash": hex_of(block)}
    return call, hex(block) if isinstance(block, int) else block


def sensible(read: Callable[Given, Told]) -> Callable[Given, Told]:
    """Let a reader raise `RpcInconsistent` where what it reads makes no sense."""

    @functools.wraps(read)
    def reader(*given: Given.args, **named: Given.kwargs) -> Told:
        try:
            return read(*given, **named)
        except _NONSENSE as error:
            raise RpcInconsistent(f"the node answers nonsense: {error!r:.200}") from error

    return reader


def _number(value: str) -> int:
    if not value.startswith("0x"):
        raise ValueError(f"{value:.80} is no number")
    return int(value, 16)


def _bytes(value: str) -> bytes:
    if not value.startswith("0x"):
        raise ValueError(f"{value:.80} is no hex")
    return bytes.fromhex(value[2:])


@sensible
def read_number(value: Any) -> int:
    """Read a number as the node wrote it."""
    return _number(value)


@sensible
def read_bytes(value: Any) -> bytes:
    """Read bytes as the node wrote them."""
    return _bytes(value)


@sensible
def read_fees(answer: dict[str, Any] | None) -> tuple[int, ...]:
    """Read the base fees of ``eth_feeHistory``; a node without any tells null."""
    return tuple(map(_number, (answer or {}).get("baseFeePerGas") or ()))


@sensible
def read_simulated(answer: Any) -> int:
    """Read the gas that the one call of ``eth_simulateV1`` has used.

    Raises
    ------
    RpcRefused
        The call reverts, or comes to no end otherwise: nodes give codes of their own to that.
    """
    (told,) = answer[0]["calls"]
    if _number(told["status"]) == 1:
        return _number(told["gasUsed"])
    error = told.get("error") or {}
    data = error.get("data") or told.get("returnData")
    message = str(error.get("message") or "execution reverted")
    raise RpcRefused("eth_simulateV1", REVERTED, message, data)


@sensible
def read_block(answer: Any) -> Block | None:
    """Read a header as the node wrote it."""
    return read_header(msgspec.convert(answer, WireHeader | None))


@sensible
def read_header(header: WireHeader | None) -> Block | None:
    """Give the exact types of a header."""
    if header is None:
        return None
    return Block(
        number=_number(header.number),
        hash=_bytes(header.hash),
        parent_hash=_bytes(header.parent_hash),
        timestamp=_number(header.timestamp),
        base_fee_wei=_number(header.base_fee_per_gas or "0x0"),
        gas_limit=_number(header.gas_limit),
        logs_bloom=_number(header.logs_bloom),
        transactions=_hashes(header.transactions),
    )


def _hashes(transactions: Sequence[Any]) -> tuple[str, ...]:
    hashes = tuple(each if isinstance(each, str) else each["hash"] for each in transactions)
    # All of a block at once: one by one takes longer than all else that is read of a header.
    if len(bytes.fromhex("".join(hashes).replace("0x", ""))) != HASH_BYTES * len(hashes):
        raise ValueError("a hash has 32 bytes")
    return hashes


@sensible
def log_of(entry: WireLog) -> Log:
    """Give the exact types of a log."""
    return Log(
        address=_bytes(entry.address),
        topics=tuple(map(_bytes, entry.topics)),
        data=_bytes(entry.data),
        block_number=_number(entry.block_number),
        block_hash=_bytes(entry.block_hash),
        tx_hash=_bytes(entry.transaction_hash),
        log_index=_number(entry.log_index),
    )


def _read_log(entry: dict[str, Any]) -> Log:
    if entry.get("removed"):
        raise RpcInconsistent("the node returned a log that it calls removed")
    return log_of(msgspec.convert(entry, WireLog))


@sensible
def read_receipt(answer: Any) -> Receipt | None:
    """Read a receipt as the node wrote it; one of a transaction in no block is none."""
    if answer is None or answer["blockNumber"] is None:
        return None
    created = answer.get("contractAddress")
    return Receipt(
        tx_hash=_bytes(answer["transactionHash"]),
        block_number=_number(answer["blockNumber"]),
        block_hash=_bytes(answer["blockHash"]),
        succeeded=_number(answer["status"]) == 1,
        gas_used=_number(answer["gasUsed"]),
        contract_address=_bytes(created) if created else None,
        logs=tuple(map(_read_log, answer["logs"])),
    )


@sensible
def read_sent(tx_hash: bytes, answer: Any) -> Sent:
    """Read a transaction as the node wrote it, which must be the one of that hash."""
    if _bytes(answer["hash"]) != tx_hash:
        raise RpcInconsistent(f"asked for {hex_of(tx_hash)}, got another transaction")
    return Sent(
        sender=_bytes(answer["from"]),
        to=_bytes(answer["to"]) if answer["to"] else None,
        data=_bytes(answer["input"]),
    )


@sensible
def read_emitters(receipts: Any) -> set[bytes]:
    """Read who has logs in a block, of all its receipts."""
    return {_bytes(entry["address"]) for each in receipts for entry in each["logs"]}


CHECKS: Mapping[str, Callable[[Any], object]] = {
    **dict.fromkeys(
        (
            "eth_chainId",
            "eth_blockNumber",
            "eth_getTransactionCount",
            "eth_getBalance",
            "eth_gasPrice",
            "eth_estimateGas",
        ),
        read_number,
    ),
    **dict.fromkeys(("eth_call", "eth_getCode"), read_bytes),
    "eth_getBlockByNumber": read_block,
    "eth_getBlockByHash": read_block,
    "eth_feeHistory": read_fees,
}
"""How to read what is handed on as it was written: of several nodes only the one that is asked
knows then who has answered nonsense."""

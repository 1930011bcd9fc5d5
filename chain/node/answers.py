"""What a node answers, in exact types, and how it is read; how the questions are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chain.errors import RpcInconsistent
from chain.node.wire import WireHeader, WireLog

BlockId = int | str | bytes
"""A number, a tag such as "latest", or a 32-byte hash (EIP-1898)."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block's header.

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


def read_block(answer: dict[str, Any] | None) -> Block | None:
    """Read a header as the node wrote it."""
    if answer is None:
        return None
    return Block(
        number=int(answer["number"], 16),
        hash=bytes_of(answer["hash"]),
        parent_hash=bytes_of(answer["parentHash"]),
        timestamp=int(answer["timestamp"], 16),
        base_fee_wei=int(answer.get("baseFeePerGas") or "0x0", 16),
        gas_limit=int(answer["gasLimit"], 16),
        logs_bloom=int(answer["logsBloom"], 16),
        transactions=tuple(answer.get("transactions") or ()),
    )


def read_header(header: WireHeader | None) -> Block | None:
    if header is None:
        return None
    return Block(
        number=int(header.number, 16),
        hash=bytes_of(header.hash),
        parent_hash=bytes_of(header.parent_hash),
        timestamp=int(header.timestamp, 16),
        base_fee_wei=int(header.base_fee_per_gas or "0x0", 16),
        gas_limit=int(header.gas_limit, 16),
        logs_bloom=int(header.logs_bloom, 16),
        transactions=tuple(header.transactions),
    )


def log_of(entry: WireLog) -> Log:
    """Give the exact types of a log."""
    return Log(
        address=bytes_of(entry.address),
        topics=tuple(map(bytes_of, entry.topics)),
        data=bytes_of(entry.data),
        block_number=int(entry.block_number, 16),
        block_hash=bytes_of(entry.block_hash),
        tx_hash=bytes_of(entry.transaction_hash),
        log_index=int(entry.log_index, 16),
    )


def read_log(entry: dict[str, Any]) -> Log:
    """Read a log as the node wrote it."""
    if entry.get("removed"):
        raise RpcInconsistent("the node returned a log that it calls removed")
    return Log(
        address=bytes_of(entry["address"]),
        topics=tuple(bytes_of(topic) for topic in entry["topics"]),
        data=bytes_of(entry["data"]),
        block_number=int(entry["blockNumber"], 16),
        block_hash=bytes_of(entry["blockHash"]),
        tx_hash=bytes_of(entry["transactionHash"]),
        log_index=int(entry["logIndex"], 16),
    )


def read_receipt(answer: dict[str, Any] | None) -> Receipt | None:
    """Read a receipt as the node wrote it."""
    if answer is None:
        return None
    created = answer.get("contractAddress")
    return Receipt(
        tx_hash=bytes_of(answer["transactionHash"]),
        block_number=int(answer["blockNumber"], 16),
        block_hash=bytes_of(answer["blockHash"]),
        succeeded=int(answer["status"], 16) == 1,
        gas_used=int(answer["gasUsed"], 16),
        contract_address=bytes_of(created) if created else None,
        logs=tuple(read_log(entry) for entry in answer["logs"]),
    )

"""Finding on chain what our keys have sent, and the signed bytes of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from chain.client import ChainClient, bytes_of
from chain.errors import RpcInconsistent
from chain.signing.envelope import Signature, seal
from chain.signing.port import UnsignedTransaction

BLOCKS_AT_ONCE = 25
_LEGACY = 0
_DYNAMIC_FEE = 2


@dataclass(frozen=True, slots=True)
class OwnTransaction:
    """A transaction of one of our keys, as a block holds it.

    Parameters
    ----------
    transaction
        What was signed; None where it is of a form that we do not sign: with a value, with an
        access list, of another type.
    raw
        Its bytes; empty where `transaction` is None.
    """

    signer: bytes
    nonce: int
    tx_hash: bytes
    block_number: int
    to: bytes | None
    data: bytes
    transaction: UnsignedTransaction | None
    raw: bytes

    @property
    def is_empty(self) -> bool:
        """Whether it only spends its nonce."""
        return self.transaction is not None and (self.to, self.data) == (self.signer, b"")


def find_own(
    client: ChainClient, wanted: Mapping[bytes, set[int]], first_block: int
) -> list[OwnTransaction]:
    """Find transactions by their nonces, in the order of the chain.

    Parameters
    ----------
    wanted
        Nonces by key.
    first_block
        None of them is in an earlier one.

    Raises
    ------
    RpcInconsistent
        The node misses a block below its head.
    """
    left = {(signer, nonce) for signer, nonces in wanted.items() for nonce in nonces}
    found = []
    for entry in _transactions(client, first_block):
        place = (bytes_of(entry["from"]), int(entry["nonce"], 16))
        if place in left:
            left.discard(place)
            found.append(_read(client.chain_id, entry))
            if not left:
                break
    return found


def _transactions(client: ChainClient, first_block: int) -> Iterator[dict[str, Any]]:
    head = client.block_number()
    for start in range(first_block, head + 1, BLOCKS_AT_ONCE):
        numbers = range(start, min(start + BLOCKS_AT_ONCE, head + 1))
        blocks = client.batch([("eth_getBlockByNumber", (hex(each), True)) for each in numbers])
        for number, block in zip(numbers, blocks, strict=True):
            if block is None:
                raise RpcInconsistent(f"the node misses block {number}, its head is {head}")
            yield from block["transactions"]


def _read(chain_id: int, entry: dict[str, Any]) -> OwnTransaction:
    tx_hash = bytes_of(entry["hash"])
    transaction, raw = _sealed(chain_id, entry, tx_hash)
    return OwnTransaction(
        signer=bytes_of(entry["from"]),
        nonce=int(entry["nonce"], 16),
        tx_hash=tx_hash,
        block_number=int(entry["blockNumber"], 16),
        to=bytes_of(entry["to"]) if entry["to"] else None,
        data=bytes_of(entry["input"]),
        transaction=transaction,
        raw=raw,
    )


def _sealed(
    chain_id: int, entry: dict[str, Any], tx_hash: bytes
) -> tuple[UnsignedTransaction | None, bytes]:
    """Put the signed bytes together again; the hash proves that they are the same."""
    kind = int(entry.get("type") or "0x0", 16)
    if kind not in {_LEGACY, _DYNAMIC_FEE} or int(entry["value"], 16):
        return None, b""
    dynamic = kind == _DYNAMIC_FEE
    transaction = UnsignedTransaction(
        chain_id=chain_id,
        nonce=int(entry["nonce"], 16),
        to=bytes_of(entry["to"]) if entry["to"] else None,
        data=bytes_of(entry["input"]),
        gas=int(entry["gas"], 16),
        max_fee_wei=int(entry["maxFeePerGas" if dynamic else "gasPrice"], 16),
        tip_wei=int(entry["maxPriorityFeePerGas"], 16) if dynamic else None,
    )
    v = int(entry["v"], 16)
    parity = v if dynamic else (v + 1) % 2
    signed = seal(transaction, Signature(int(entry["r"], 16), int(entry["s"], 16), parity))
    return (transaction, signed.raw) if signed.tx_hash == tx_hash else (None, b"")

"""Finding on chain what our keys have sent, and the signed bytes of each.

How many transactions of a key the chain had at a block tells on which side of it one lies, so that
only the blocks that hold them are read whole. Many nodes keep no state of older blocks, and some
tell the newest count whatever the block: what is not found so is looked for in every block. So that
is a hint of one node; what the blocks hold is what enough nodes say, and what the keys have signed.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain as joined
from typing import Any

import structlog

from chain.errors import RpcInconsistent, RpcRefused
from chain.node.answers import sensible
from chain.node.client import ChainClient, bytes_of, hex_of
from chain.signing.digest import address_of_point, recovered_point
from chain.signing.envelope import Signature, digest_of, seal
from chain.signing.port import UnsignedTransaction

log = structlog.get_logger()

COUNT = "eth_getTransactionCount"
BLOCKS_AT_ONCE = 25
BLOCKS_FOR_EACH = 4
"""Where at most so many blocks are left for each transaction, they are read instead of halved."""

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
    block_hash: bytes
    index: int
    to: bytes | None
    data: bytes
    transaction: UnsignedTransaction | None
    raw: bytes

    @property
    def is_empty(self) -> bool:
        """Whether it only spends its nonce."""
        return self.transaction is not None and (self.to, self.data) == (self.signer, b"")

    @property
    def place(self) -> tuple[bytes, int]:
        """Key and nonce, of which a chain has one transaction."""
        return self.signer, self.nonce


class OwnTransactions:
    """What was found so far: asked again, it is not looked for while its block stands."""

    def __init__(self, client: ChainClient) -> None:
        self._client = client
        self._found: dict[tuple[bytes, int], OwnTransaction] = {}

    def find(self, wanted: Mapping[bytes, set[int]], first_block: int) -> list[OwnTransaction]:
        """Find transactions by their nonces, in the order of the chain, as `find_own`."""
        places = {(signer, nonce) for signer, nonces in wanted.items() for nonce in nonces}
        known = [own for place, own in self._found.items() if place in places]
        standing = self._client.standing(own.block_number for own in known)
        kept = [own for own in known if (own.block_number, own.block_hash) in standing]
        left: dict[bytes, set[int]] = {}
        for signer, nonce in places - {own.place for own in kept}:
            left.setdefault(signer, set()).add(nonce)
        found = kept + (find_own(self._client, left, first_block) if left else [])
        self._found = {own.place: own for own in found}
        return _in_order(found)


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
        The node misses a block below its head, or names a sender who has not signed.
    """
    head = client.block_number()
    left = {(signer, nonce) for signer, nonces in wanted.items() for nonce in nonces}
    likely = _blocks_with(client, wanted, first_block - 1, head)
    # Then every block, as far as that has to go.
    every = range(first_block, head + 1)
    found = []
    for own in joined(_sent_in(client, wanted, likely), _sent_in(client, wanted, every)):
        if own.place in left:
            left.discard(own.place)
            found.append(own)
            if not left:
                break
    return _in_order(found)


def _in_order(found: Iterable[OwnTransaction]) -> list[OwnTransaction]:
    return sorted(found, key=lambda own: (own.block_number, own.index))


def _sent_in(
    client: ChainClient, signers: Collection[bytes], numbers: Sequence[int]
) -> Iterator[OwnTransaction]:
    for start in range(0, len(numbers), BLOCKS_AT_ONCE):
        asked = numbers[start : start + BLOCKS_AT_ONCE]
        read = partial(_read_blocks, signers=signers, numbers=asked)
        yield from client.agreed("what our keys have sent", read)


def _read_blocks(
    client: ChainClient, *, signers: Collection[bytes], numbers: Sequence[int]
) -> list[OwnTransaction]:
    """Read what these keys have sent in some blocks, as one node tells it."""
    blocks = client.batch([("eth_getBlockByNumber", (hex(each), True)) for each in numbers])
    found = []
    for number, block in zip(numbers, blocks, strict=True):
        if block is None:
            raise RpcInconsistent(f"the node misses block {number}, below its head")
        found += _read_block(client.chain_id, signers, number, block)
    return found


@sensible
def _read_block(
    chain_id: int, signers: Collection[bytes], number: int, block: dict[str, Any]
) -> list[OwnTransaction]:
    place = number, bytes_of(block["hash"])
    return [
        _read(chain_id, entry, *place)
        for entry in block["transactions"]
        if bytes_of(entry["from"]) in signers
    ]


# -- which blocks hold them ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Span:
    """The blocks after `low` up to `high`, and what the key had sent at both ends."""

    signer: bytes
    low: int
    high: int
    sent_low: int
    sent_high: int

    @property
    def middle(self) -> int:
        return (self.low + self.high) // 2

    def halves(self, sent: int) -> tuple[_Span, _Span]:
        return (
            _Span(self.signer, self.low, self.middle, self.sent_low, sent),
            _Span(self.signer, self.middle, self.high, sent, self.sent_high),
        )


def _blocks_with(
    client: ChainClient, wanted: Mapping[bytes, set[int]], low: int, high: int
) -> list[int]:
    """Give the blocks after `low` that hold these nonces, and few others, one round trip a halving.

    What the node cannot tell, or tells wrongly, is missing.
    """
    nonces = {signer: sorted(each) for signer, each in wanted.items()}
    blocks: set[int] = set()
    try:
        # Before the first block nothing was sent, and no node could be asked.
        before = (
            _sent(client, [(signer, low) for signer in nonces]) if low >= 0 else [0] * len(nonces)
        )
        after = _sent(client, [(signer, high) for signer in nonces])
        spans = [
            _Span(signer, low, high, *sent)
            for signer, *sent in zip(nonces, before, after, strict=True)
        ]
        while spans:
            large = []
            for span in spans:
                sought = nonces[span.signer]
                count = bisect_left(sought, span.sent_high) - bisect_left(sought, span.sent_low)
                if span.high - span.low > count * BLOCKS_FOR_EACH > 0:
                    large.append(span)
                elif count > 0:
                    blocks.update(range(span.low + 1, span.high + 1))
            told = _sent(client, [(span.signer, span.middle) for span in large])
            spans = [
                half for span, sent in zip(large, told, strict=True) for half in span.halves(sent)
            ]
    except RpcRefused as refused:
        log.info("no_state_of_old_blocks", reason=refused.message)
    return sorted(blocks)


def _sent(client: ChainClient, asked: Sequence[tuple[bytes, int]]) -> list[int]:
    """Tell how many transactions of a key the chain had at a block."""
    answers = client.batch([(COUNT, (hex_of(signer), hex(block))) for signer, block in asked])
    return [int(answer, 16) for answer in answers]


def _read(chain_id: int, entry: dict[str, Any], number: int, block_hash: bytes) -> OwnTransaction:
    tx_hash, sender = bytes_of(entry["hash"]), bytes_of(entry["from"])
    transaction, raw = _sealed(chain_id, entry, tx_hash, sender)
    return OwnTransaction(
        signer=sender,
        nonce=int(entry["nonce"], 16),
        tx_hash=tx_hash,
        block_number=number,
        block_hash=block_hash,
        index=int(entry["transactionIndex"], 16),
        to=bytes_of(entry["to"]) if entry["to"] else None,
        data=bytes_of(entry["input"]),
        transaction=transaction,
        raw=raw,
    )


def _sealed(
    chain_id: int, entry: dict[str, Any], tx_hash: bytes, sender: bytes
) -> tuple[UnsignedTransaction | None, bytes]:
    """Put the signed bytes together again; the hash proves that they are the same.

    Raises
    ------
    RpcInconsistent
        Another key has signed them: a hash fits whatever is made up.
    """
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
    signature = Signature(int(entry["r"], 16), int(entry["s"], 16), parity)
    signed = seal(transaction, signature)
    if signed.tx_hash != tx_hash:
        return None, b""
    point = recovered_point(signature, digest_of(transaction))
    if point is None or address_of_point(point) != sender:
        raise RpcInconsistent(f"{hex_of(tx_hash)} is not signed by the sender that the node names")
    return transaction, signed.raw

"""What is asked more closely near the head, where nodes were seen to contradict themselves.

A node that has just imported a block, and two nodes behind one address, leave out the logs of
blocks, or give them the hashes of transactions that stand elsewhere (go-ethereum #31593,
reth #11427). Deep below the head that was never seen, and reading every header would take longer
than reading the events; there, the reconciliation tells (ADR 0038).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from chain.errors import RpcInconsistent
from chain.node.client import Block, ChainClient, bytes_of, hex_of
from registry.captable.columns import Transfers
from registry.captable.events import ProjectedContractEvent, ProjectedEvent

NEAR_BLOCKS = 128
"""Some more than any chain needs to be final."""


def near_head(first: int, last: int, head_number: int) -> range:
    """Give the part of a range that is near the head: each of its headers is read."""
    return range(max(first, head_number - NEAR_BLOCKS + 1), last + 1)


def check_near_head(
    client: ChainClient,
    near: Sequence[int],
    headers: Mapping[int, Block],
    transfers: Transfers,
    others: Iterable[ProjectedEvent | ProjectedContractEvent],
) -> None:
    """Make sure that headers follow each other, and that each event is of its block's transactions.

    Parameters
    ----------
    near
        Numbers of the blocks; all of them are in `headers`.
    transfers, others
        Of the whole range.

    Raises
    ------
    RpcInconsistent
        The node contradicts itself.
    """
    for number in near[1:]:
        if headers[number].parent_hash != headers[number - 1].hash:
            raise RpcInconsistent(f"block {number} does not follow the block before it")
    if not near:
        return
    said = [(event.block_number, event.log_index, event.tx_hash) for event in others]
    said = [place for place in said if place[0] >= near[0]]
    places: dict[int, dict[bytes, int]] = {}
    last = (-1, -1)
    for number, _, tx_hash in sorted([*said, *_ends_of_runs(transfers.since(near[0]))]):
        if number not in places:
            hashes = map(bytes_of, headers[number].transactions)
            places[number] = {digest: place for place, digest in enumerate(hashes)}
        place = places[number].get(tx_hash)
        if place is None:
            _require_receipt(client, headers[number], tx_hash)
            continue
        if (number, place) < last:
            raise RpcInconsistent(f"logs of block {number} change places with their transactions")
        last = (number, place)


def _ends_of_runs(transfers: Transfers) -> list[tuple[int, int, bytes]]:
    """Give block, index and transaction of those that begin or end a run of one transaction.

    One in between tells nothing more: whatever stands beside it stands between the two.
    """
    differs = (np.diff(transfers.block) != 0) | (np.diff(transfers.tx_hash, axis=0) != 0).any(1)
    is_end = np.ones(len(transfers), np.bool_)
    is_end[1:-1] = differs[1:] | differs[:-1]
    ends = transfers.of(is_end)
    hashes = map(bytes, ends.tx_hash)
    return list(zip(ends.block.tolist(), ends.log_index.tolist(), hashes, strict=True))


def _require_receipt(client: ChainClient, header: Block, tx_hash: bytes) -> None:
    """Ask where a transaction is that its block does not list: some chains leave their own out."""
    (receipt,) = client.receipts([tx_hash])
    if receipt is None or receipt.block_hash != header.hash:
        raise RpcInconsistent(
            f"a log of block {header.number} names transaction {hex_of(tx_hash)}, "
            "which is not in that block"
        )

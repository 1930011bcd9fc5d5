"""Whether a transaction anchored a root: asked of the node, whatever a paper says of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from chain.contracts.abi import contract
from chain.node.answers import Log
from chain.node.client import ChainClient
from registry.anchor.reading import EVENT
from registry.anchor.service import CONTRACT, LOG


@dataclass(frozen=True, slots=True)
class AnchorEvent:
    """What a paper says of where a root was anchored.

    Parameters
    ----------
    place
        Address of the contract.
    size
        Of the tree.
    block_number, block_hash, mined_at
        The block of the transaction.
    """

    place: bytes
    size: int
    root: bytes
    tx_hash: bytes
    block_number: int
    block_hash: bytes
    mined_at: datetime


def is_on_chain(client: ChainClient, told: AnchorEvent) -> bool:
    """Tell whether the transaction is in that block, with the event of that root."""
    (receipt,) = client.receipts([told.tx_hash])
    if receipt is None or (receipt.block_number, receipt.block_hash) != (
        told.block_number,
        told.block_hash,
    ):
        return False
    block = client.block(told.block_hash)
    if block is None or datetime.fromtimestamp(block.timestamp, UTC) != told.mined_at:
        return False
    return any(_says(log, told) for log in receipt.logs)


def _says(log: Log, told: AnchorEvent) -> bool:
    event = contract(CONTRACT).events[EVENT]
    if log.address != told.place or log.topics[:1] != (event.topic,):
        return False
    try:
        said = event.decode(log)
    except ValueError:  # of a contract that is not ours
        return False
    return (said["log"], said["size"], said["root"]) == (LOG, told.size, told.root)

"""Which blocks are final: those with so many on top, or those that the node's own tag bounds."""

from __future__ import annotations

from chain.errors import ChainError
from chain.node.client import ChainClient
from registry.kernel.settings import Finality

NEVER = 2**63
"""More confirmations than any block has."""


def final_height(client: ChainClient, finality: Finality, head: int) -> int:
    """Return the number of the newest block that is final; -1 where none is yet.

    Parameters
    ----------
    head
        Number of the newest block.

    Raises
    ------
    RpcRefused
        The node does not know the tag.
    """
    if isinstance(finality, int):
        return head - finality
    block = client.block(finality)
    # Nodes answer null, or their first block, until they have seen a first one agreed upon.
    return -1 if block is None else block.number


def confirmations_needed(client: ChainClient, finality: Finality) -> int:
    """Return how many blocks lie on top of the newest final one now.

    A node that cannot tell leaves every answer at "latest": it claims too little, never too much.
    """
    if isinstance(finality, int):
        return finality
    try:
        head = client.block_number()
        return max(head - final_height(client, finality, head), 0)
    except ChainError:
        return NEVER

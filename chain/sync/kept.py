"""Headers of old blocks from a node that may have dropped them (EIP-4444)."""

from __future__ import annotations

from collections.abc import Sequence

from chain.errors import RpcRefused
from chain.node.client import Block, ChainClient


def kept_headers(client: ChainClient, numbers: Sequence[int]) -> list[Block | None]:
    """Return the headers that a node gives; None for a block that it has not, or refuses to tell.

    None of a block that is not above the node's head says nothing about that block.
    """
    try:
        return client.headers(numbers)
    except RpcRefused:
        # One that is refused takes all with which it was asked along.
        return [_kept_header(client, number) for number in numbers]


def _kept_header(client: ChainClient, number: int) -> Block | None:
    try:
        return client.block(number)
    except RpcRefused:
        return None

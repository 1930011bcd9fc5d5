"""Several nodes of one chain, asked as one, each of which can be made to lie."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from chain.node.nodes import NodePool, connect
from chain.node.pooled_node import NodeState
from tests.chain.mirror import Mirror
from tests.chain.nodes import CHAIN_ID, Node


@contextlib.contextmanager
def mirrors(node: Node, number: int) -> Iterator[list[Mirror]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Mirror(node)) for _ in range(number)]


def pool(nodes: list[Mirror], **rules: int) -> NodePool:
    found = connect(",".join(node.url for node in nodes), CHAIN_ID, **rules)
    assert isinstance(found, NodePool)
    return found


def states(found: NodePool) -> list[NodeState]:
    return [status.state for status in found.statuses()]

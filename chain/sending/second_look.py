"""Believing a revert only of a node that has seen what we know to be mined.

Behind one address may stand several nodes, one of them some blocks behind. Where a mint is
estimated on one that has not seen the registration before it, it reverts, and a good instruction
would be refused for ever.
"""

from __future__ import annotations

from sqlalchemy import func
from sqlmodel import col, select

from chain.errors import ChainError, RpcRefused
from chain.node.client import hex_of
from chain.operations.effect import Call, Chain
from registry.kernel.db import Database
from registry.operation.models import Operation, OperationAttempt


class NodeBehind(ChainError):
    """The node judged a call on a state older than one that we know."""


def confirm_revert(database: Database, chain: Chain, sender: bytes, call: Call) -> None:
    """Run a call that reverted once more, on the newest block that we know to exist.

    Parameters
    ----------
    sender
        20 bytes.

    Raises
    ------
    NodeBehind
        It runs to its end there: it was judged on an older state.
    RpcRefused
        The node does not know that block.
    """
    asked = {"from": hex_of(sender), "data": hex_of(call.data)}
    if call.to is not None:
        asked["to"] = hex_of(call.to)
    try:
        chain.client.request("eth_call", asked, hex(_newest_block(database, chain)))
    except RpcRefused as refused:
        if refused.is_revert:
            return
        raise
    raise NodeBehind("it reverts on an older block only")


def _newest_block(database: Database, chain: Chain) -> int:
    """Return the number of the head, or of the last block with something of ours."""
    with database.transaction() as session:
        last = session.exec(
            select(func.max(col(OperationAttempt.block_number)))
            .join(Operation, col(Operation.id) == col(OperationAttempt.operation_id))
            .where(col(Operation.signer).in_([key.address for key in chain.senders]))
        ).one()
    return max(chain.client.block_number(), last or 0)

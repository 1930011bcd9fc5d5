"""What has ended in blocks that the chain has lost since.

A reorg may go deeper than what we called final. Then what was mined may stand in another block, or
have reverted there, although its nonce is spent as before: only the block's hash tells.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlmodel import col, select

from chain.node.client import ChainClient
from registry.kernel.db import Database
from registry.operation.models import Operation, OperationAttempt, OperationState

ENDED = (
    OperationState.FINAL,
    OperationState.REVERTED,
    OperationState.REPLACED,
    OperationState.DROPPED,
)
"""The ends that stand in a block: one that failed has spent its nonce like the others."""
PAGE = 200

_Mined = tuple[UUID, int, bytes]
"""An operation, and number and hash of the block in which it ended."""


def find_lost(database: Database, client: ChainClient, signer: bytes) -> list[UUID]:
    """List operations of a key that have ended in a block which is not the chain's any more.

    One block is asked for where the newest of them stands, for then all do.

    Raises
    ------
    RpcUnavailable, RpcRefused
    """
    lost: list[UUID] = []
    newest = _newest(database, signer, (), 1)
    while newest:
        gone = _not_standing(client, newest)
        lost += gone
        if len(gone) < len(newest):
            # Whatever ended before a block that stands is in its past.
            return lost
        newest = _newest(database, signer, lost, PAGE)
    return lost


def _newest(
    database: Database, signer: bytes, but: Collection[UUID], most: int
) -> Sequence[_Mined]:
    with database.transaction() as session:
        rows = session.exec(
            select(Operation.id, OperationAttempt.block_number, OperationAttempt.block_hash)
            .join(OperationAttempt, col(OperationAttempt.operation_id) == col(Operation.id))
            .where(
                col(OperationAttempt.block_number).is_not(None),
                col(Operation.signer) == signer,
                col(Operation.state).in_(ENDED),
                col(Operation.id).not_in(but),
            )
            .order_by(col(OperationAttempt.block_number).desc())
            .limit(most)
        )
        return [(row, int(number or 0), block_hash or b"") for row, number, block_hash in rows]


def _not_standing(client: ChainClient, mined: Sequence[_Mined]) -> list[UUID]:
    standing = client.standing(number for _, number, _ in mined)
    return [row for row, number, block_hash in mined if (number, block_hash) not in standing]

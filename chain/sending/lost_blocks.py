"""What was mined, or has ended, in blocks that the chain has lost since.

A reorg may go deeper than what we called final. Then what was mined may stand in another block, or
have reverted there, although its nonce is spent as before: only the block's hash tells.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple
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


class _Mined(NamedTuple):
    """An operation, its attempt that was mined, and number and hash of that block."""

    operation_id: UUID
    tx_hash: bytes
    number: int
    block_hash: bytes


_MINED = (
    select(
        Operation.id,
        OperationAttempt.tx_hash,
        OperationAttempt.block_number,
        OperationAttempt.block_hash,
    )
    .join(OperationAttempt, col(OperationAttempt.operation_id) == col(Operation.id))
    .where(col(OperationAttempt.block_number).is_not(None))
)


def find_lost(
    database: Database, client: ChainClient, signer: bytes, *, chain_nonce: int
) -> list[UUID]:
    """List operations of a key that were mined in a block which is not the chain's any more.

    One block is asked for where the newest of those that have ended stands, for then all do. What
    is mined only is looked at where the chain has not come to its nonce.

    Parameters
    ----------
    chain_nonce
        Transactions of the key on chain. A node that lags counts too few, and nothing is lost for
        that alone.

    Raises
    ------
    RpcUnavailable, RpcRefused
    """
    lost = _not_standing(client, _unspent(database, signer, chain_nonce))
    newest = _newest(database, signer, (), 1)
    while newest:
        gone = _not_standing(client, newest)
        lost += gone
        if len(gone) < len(newest):
            # Whatever ended before a block that stands is in its past.
            return lost
        newest = _newest(database, signer, lost, PAGE)
    return lost


def _unspent(database: Database, signer: bytes, chain_nonce: int) -> Sequence[_Mined]:
    """Give what was mined at nonces to which the chain has not come."""
    with database.transaction() as session:
        rows = session.exec(
            _MINED.where(
                col(Operation.signer) == signer,
                col(Operation.nonce) >= chain_nonce,
                col(Operation.state) == OperationState.MINED,
            )
        )
        return [_mined(*row) for row in rows]


def _newest(
    database: Database, signer: bytes, but: Collection[UUID], most: int
) -> Sequence[_Mined]:
    with database.transaction() as session:
        rows = session.exec(
            _MINED.where(
                col(Operation.signer) == signer,
                col(Operation.state).in_(ENDED),
                col(Operation.id).not_in(but),
            )
            .order_by(col(OperationAttempt.block_number).desc())
            .limit(most)
        )
        return [_mined(*row) for row in rows]


def _mined(row: UUID, tx_hash: bytes, number: int | None, block_hash: bytes | None) -> _Mined:
    return _Mined(row, tx_hash, int(number or 0), block_hash or b"")


def _not_standing(client: ChainClient, mined: Sequence[_Mined]) -> list[UUID]:
    numbers = sorted({each.number for each in mined})
    headers = dict(zip(numbers, client.headers(numbers), strict=True))
    gone, missed = [], []
    for each in mined:
        header = headers[each.number]
        if header is None:
            missed.append(each)
        elif header.hash != each.block_hash:
            gone.append(each.operation_id)
    if not missed:
        return gone
    # Of several nodes behind one address, one may not have come so far: another may have.
    receipts = client.receipts([each.tx_hash for each in missed])
    gone += [
        each.operation_id
        for each, receipt in zip(missed, receipts, strict=True)
        if receipt is None or receipt.block_hash != each.block_hash
    ]
    return gone

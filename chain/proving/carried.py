"""Finding what somebody changed of our transactions: which operation each carried out.

Each says so itself, in bytes that our key has signed: the ids at the end of its data
(`chain.sending.trailer`). So no row is believed in that, and what is missing is found on chain.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from eth_utils.crypto import keccak
from rlp.exceptions import RLPException
from sqlalchemy import text, union
from sqlmodel import Session, col, select

from chain.node.client import ChainClient, Sent, hex_of
from chain.sending.trailer import read_ids
from chain.signing.envelope import read_signed
from registry.kernel.db import Database
from registry.kernel.rows import among
from registry.operation.models import (
    IN_FLIGHT,
    ON_CHAIN,
    NonceStream,
    Operation,
    OperationAttempt,
    OperationKind,
)

AT_ONCE = 500

# What is on its way waits for us to look; what is final does not.
_CONTRADICTED = text("""
SELECT DISTINCT o.id, o.state, encode(x.tx_hash, 'hex'), e.block_number, x.block_number
FROM token_event e JOIN operation_attempt x ON x.tx_hash = e.tx_hash
JOIN operation o ON x.operation_id IN (o.id, o.batch_id)
WHERE o.state <> ALL (:going) OR (o.state = 'final' AND o.id = x.operation_id
  AND x.block_number IS DISTINCT FROM e.block_number)
ORDER BY 1, 3
""")
_WITHOUT = text("""
SELECT o.id, o.state FROM operation o
WHERE o.state = ANY (:done) AND NOT EXISTS (
  SELECT FROM operation_attempt x
  WHERE x.operation_id = coalesce(o.batch_id, o.id) AND x.block_number IS NOT NULL)
ORDER BY o.id
""")
# A holder's own transfer, of which there are thousands to each of ours, is none of ours, but for a
# trade that the Settlement carries out. Each half has a small index (`captable.models`).
_UNKNOWN = text("""
SELECT e.token_no, e.block_number, e.log_index, e.tx_hash
FROM (
  SELECT token_no, block_number, log_index, tx_hash FROM token_event WHERE kind <> 1
  UNION ALL
  SELECT token_no, block_number, log_index, tx_hash FROM token_event
  WHERE kind = 1 AND (extra IS NOT NULL OR source IS NULL OR target IS NULL)
) e
WHERE e.token_no IN (SELECT token_no FROM token WHERE chain_id = :chain)
  AND (e.token_no, e.block_number, e.log_index) > (:token, :block, :log)
  AND NOT EXISTS (SELECT FROM operation_attempt x WHERE x.tx_hash = e.tx_hash)
ORDER BY 1, 2, 3 LIMIT :limit
""")
_UNKNOWN_TRADES = text("""
SELECT -1 AS token_no, e.block_number, e.log_index, e.tx_hash
FROM contract_event e
WHERE e.event = 'Settled' AND e.chain_id = :chain
  AND (e.block_number, e.log_index) > (:block, :log)
  AND NOT EXISTS (SELECT FROM operation_attempt x WHERE x.tx_hash = e.tx_hash)
ORDER BY 2, 3 LIMIT :limit
""")


@dataclass(frozen=True, slots=True)
class _Kept:
    """What some attempts name, as the table of operations has it.

    Parameters
    ----------
    batches
        Of the operations that are named: which batch each is bound to.
    carried
        Of batches: what is bound to each.
    """

    batches: Mapping[UUID, UUID | None]
    carried: Mapping[UUID, set[UUID]]


def astray(session: Session) -> Iterator[str]:
    """Find attempts that are not their operation's, and operations that none carried out."""
    after = b""
    while rows := session.exec(
        select(OperationAttempt, Operation)
        .join(Operation, col(Operation.id) == col(OperationAttempt.operation_id))
        .where(col(OperationAttempt.tx_hash) > after)
        .order_by(col(OperationAttempt.tx_hash))
        .limit(AT_ONCE)
    ).all():
        after = rows[-1][0].tx_hash
        yield from _astray(session, rows)
        session.expunge_all()
    done = {"done": [str(state) for state in ON_CHAIN]}
    for operation_id, state in session.execute(_WITHOUT, done):
        yield (
            f"Row {operation_id} of operation is {state}, and operation_attempt has no transaction "
            "of it in a block"
        )
    going = {"going": [str(state) for state in (*IN_FLIGHT, *ON_CHAIN)]}
    for operation_id, state, tx_hash, block, ours in session.execute(_CONTRADICTED, going):
        yield (
            f"Row {operation_id} of operation is {state}, and row 0x{tx_hash} of operation_attempt "
            f"in block {ours}: the transaction is in block {block}"
        )


def missing(database: Database, client: ChainClient) -> Iterator[str]:
    """Find transactions of tokens that our keys sent for an operation, and that have no row.

    Told is also of how many that cannot be said, since the node has not kept them.
    """
    told: set[bytes] = set()
    lost: set[bytes] = set()
    for mined in _unknown(database, client.chain_id):
        sent = client.kept_transactions(mined)
        lost |= mined.keys() - sent.keys()
        with database.reading() as session:
            ours = _ours(session, client.chain_id, sent)
        for tx, operation_id in ours.items():
            # The logs of one may stand on two pages.
            if tx in told:
                continue
            told.add(tx)
            yield (
                f"Row {hex_of(tx)} of operation_attempt is gone: that transaction carried out "
                f"operation {operation_id}"
            )
    if lost:
        yield (
            f"Of the transactions of tokens that operation_attempt does not have, {len(lost)} were "
            "not looked at: the node has not kept them"
        )


def _unknown(database: Database, chain_id: int) -> Iterator[dict[bytes, int]]:
    """Give what may be ours of the transactions without a row: the block of each, by pages."""
    for statement in (_UNKNOWN, _UNKNOWN_TRADES):
        asked = {"chain": chain_id, "limit": AT_ONCE, "token": -1, "block": -1, "log": -1}
        while True:
            with database.reading() as session:
                found = session.execute(statement, asked).all()
            if not found:
                break
            yield {bytes(row.tx_hash): row.block_number for row in found}
            token, block, log, _ = found[-1]
            asked |= {"token": token, "block": block, "log": log}


def _astray(session: Session, rows: Sequence[tuple[OperationAttempt, Operation]]) -> Iterator[str]:
    named = {attempt.tx_hash: _named(attempt) for attempt, _ in rows}
    ids = {each for found in named.values() if isinstance(found, list) for each in found}
    kept = _Kept(_batches(session, ids), _carried(session, [owner.id for _, owner in rows]))
    for attempt, owner in rows:
        found = named[attempt.tx_hash]
        fault = found if isinstance(found, str) else _fault(owner, found, kept)
        if fault is not None:
            yield f"Row {hex_of(attempt.tx_hash)} of operation_attempt: {fault}"


def _named(attempt: OperationAttempt) -> list[UUID] | str:
    """Give the ids that a transaction names, none where it only spends a nonce; or its fault."""
    if keccak(attempt.raw) != attempt.tx_hash:
        return "its bytes are not those of that transaction"
    try:
        data = read_signed(attempt.raw).data
    except (RLPException, ValueError, TypeError):
        return "its bytes are no transaction"
    return (read_ids(data) or "its transaction names no operation") if data else []


def _fault(owner: Operation, ids: Sequence[UUID], kept: _Kept) -> str | None:
    """Tell what is wrong with an attempt that names these ids.

    An operation that a database has lost, restored from an old backup, is another one by now: what
    a transaction names, and we know nothing of, tells nothing (`chain.sending.binding`).
    """
    if not ids:
        return None
    if ids[-1] != owner.id and ids[-1] in kept.batches:
        return f"it is of operation {owner.id}, and carried out operation {ids[-1]}"
    if owner.kind != OperationKind.BATCH or owner.state not in {*IN_FLIGHT, *ON_CHAIN}:
        return None
    # Words of the call itself may look like ids.
    carried = ids[:-1][-owner.params["rows"] :]
    for each in carried:
        if kept.batches.get(each, owner.id) != owner.id:
            return f"it carried out operation {each}, which is not bound to {owner.id}"
    more = kept.carried.get(owner.id, set()) - set(carried)
    if more and all(each in kept.batches for each in carried):
        return f"it did not carry out operation {min(more)}, which is bound to {owner.id}"
    return None


def _ours(session: Session, chain_id: int, sent: Mapping[bytes, Sent]) -> dict[bytes, UUID]:
    """Give the operation that each transaction of ours carried out; of others nothing.

    The ids are public: whoever sends a transaction may copy one to the end of its data. A key is
    ours where its nonces are counted here, or an operation was sent by it.
    """
    named = {tx: ids[-1] for tx, each in sent.items() if (ids := read_ids(each.data))}
    known = _batches(session, named.values())
    found = {tx: operation_id for tx, operation_id in named.items() if operation_id in known}
    senders = {sent[tx].sender for tx in found}
    keys = session.execute(
        union(
            select(NonceStream.signer).where(
                col(NonceStream.chain_id) == chain_id, among(col(NonceStream.signer), senders)
            ),
            select(Operation.signer).where(among(col(Operation.signer), senders)),
        )
    )
    ours = {bytes(key) for (key,) in keys}
    return {tx: operation_id for tx, operation_id in found.items() if sent[tx].sender in ours}


def _batches(session: Session, ids: Collection[UUID]) -> dict[UUID, UUID | None]:
    query = select(Operation.id, Operation.batch_id).where(among(col(Operation.id), ids))
    return dict(session.exec(query).all())


def _carried(session: Session, owners: Collection[UUID]) -> dict[UUID, set[UUID]]:
    found: dict[UUID, set[UUID]] = {}
    query = select(Operation.batch_id, Operation.id).where(among(col(Operation.batch_id), owners))
    for batch_id, operation_id in session.exec(query):
        if batch_id is not None:
            found.setdefault(batch_id, set()).add(operation_id)
    return found

"""Taking blocks back after a reorg, in one transaction, keeping what we knew.

Only what the lost blocks touched is read or written, so that the time depends on them and not on
the size of the token.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from registry.captable import bulk, contracts, sums
from registry.captable.events import ProjectedBlock
from registry.captable.ledger import MOVING
from registry.captable.models import (
    ChainBlock,
    EventKind,
    Reconciliation,
    RegisteredWallet,
    SyncCursor,
    Token,
    TokenEvent,
)
from registry.captable.projection import OF_WALLETS, WalletEvent, fold_wallets
from registry.kernel.clock import now


def rewind(session: Session, chain_id: int, ancestor: ProjectedBlock) -> int:
    """Take back every block above `ancestor`.

    Returns
    -------
    int
        Blocks taken back, of those that we had stored.

    Raises
    ------
    SumDiffers
        The holders of a token would not have what was minted of it.
    """
    taken = _keep_as_orphans(session, chain_id, ancestor.number)
    tokens = session.exec(
        select(Token).where(col(Token.chain_id) == chain_id).with_for_update()
    ).all()
    for token in tokens:
        _rewind_token(session, token, ancestor.number)
    standing = [token.token_no for token in tokens if token.block_number <= ancestor.number]
    sums.require_equal(session, [number for number in standing if number is not None])
    _cut_blocks(session, chain_id, ancestor)
    contracts.take_back(session, chain_id, ancestor.number)
    session.execute(
        update(SyncCursor)
        .where(col(SyncCursor.chain_id) == chain_id)
        .values(number=ancestor.number, hash=ancestor.hash, checked_at=now())
    )
    session.flush()
    return taken


def _cut_blocks(session: Session, chain_id: int, ancestor: ProjectedBlock) -> None:
    """Forget what is above the ancestor; it itself stays, with the moment when we stored it."""
    of_chain = col(ChainBlock.chain_id) == chain_id
    session.execute(delete(ChainBlock).where(of_chain, col(ChainBlock.number) > ancestor.number))
    session.execute(
        delete(ChainBlock).where(
            of_chain,
            col(ChainBlock.number) == ancestor.number,
            col(ChainBlock.hash) != ancestor.hash,
        )
    )
    if session.get(ChainBlock, (chain_id, ancestor.number)) is None:
        bulk.copy_blocks(session, chain_id, [ancestor])


# Made as `json` and turned into `jsonb` as a whole: half the time of `jsonb` row by row.
_ORPHANS = """
INSERT INTO orphan_block (chain_id, hash, orphaned_at, number, mined_at, recorded_at, events)
SELECT b.chain_id, b.hash, now(), b.number, b.mined_at, b.recorded_at, coalesce(
  (SELECT json_agg(e ORDER BY e.log_index)::jsonb
   FROM (
     SELECT token_no, block_number, log_index, kind, encode(tx_hash, 'hex') AS tx_hash, source,
       target, units::text AS units, extra
     FROM token_event
     WHERE token_no = ANY(ARRAY(SELECT token_no FROM token WHERE chain_id = %(chain)s))
       AND block_number = b.number) e), '[]')
FROM chain_block b WHERE b.chain_id = %(chain)s AND b.number > %(ancestor)s
ON CONFLICT (chain_id, hash, orphaned_at) DO UPDATE
SET recorded_at = excluded.recorded_at, events = excluded.events
"""


def _keep_as_orphans(session: Session, chain_id: int, ancestor_number: int) -> int:
    with bulk.cursor_of(session) as cursor:
        cursor.execute(_ORPHANS, {"chain": chain_id, "ancestor": ancestor_number})
        return cursor.rowcount


def _rewind_token(session: Session, token: Token, ancestor: int) -> None:
    assert token.token_no is not None
    if token.caught_up_to is not None:
        token.caught_up_to = min(token.caught_up_to, ancestor)
    undone = _take_events(session, token.token_no, ancestor)
    _rewind_balances(session, token.token_no, undone, ancestor)
    session.execute(
        delete(Reconciliation).where(
            col(Reconciliation.token_no) == token.token_no,
            col(Reconciliation.block_number) > ancestor,
        )
    )
    of_wallets = any(row.kind in OF_WALLETS for row in undone)
    if of_wallets or token.block_number > ancestor:
        session.execute(
            delete(RegisteredWallet).where(col(RegisteredWallet.token_no) == token.token_no)
        )
    if token.block_number > ancestor:
        session.delete(token)
        return
    transfers = [row for row in undone if row.kind == EventKind.TRANSFER]
    minted = sum(int(row.units or 0) for row in transfers if row.source is None)
    burned = sum(int(row.units or 0) for row in transfers if row.target is None)
    token.supply_units = int(token.supply_units) - minted + burned
    if any(row.kind in {EventKind.PAUSED, EventKind.UNPAUSED} for row in undone):
        token.paused = was_paused(session, token.token_no)
    session.add(token)
    session.flush()
    if of_wallets:
        fold_wallets(session, wallet_events(session, token.token_no))


_TAKE = """
DELETE FROM token_event WHERE token_no = %s AND block_number > %s
RETURNING kind, source, target, units
"""


class _Undone(NamedTuple):
    """What is looked at of an event that is taken back."""

    kind: int
    source: int | None
    target: int | None
    units: Decimal | None


def _take_events(session: Session, token_no: int, ancestor: int) -> list[_Undone]:
    with bulk.cursor_of(session) as cursor:
        cursor.execute(
            _TAKE,
            [token_no, ancestor],
            binary=True,
        )
        return [_Undone(*row) for row in cursor.fetchall()]


def was_paused(session: Session, token_no: int) -> bool:
    """Tell what the last event that remains says; a token begins paused."""
    kinds = [EventKind.PAUSED, EventKind.UNPAUSED]
    last = session.exec(
        select(TokenEvent.kind)
        .where(
            col(TokenEvent.token_no) == token_no,
            col(TokenEvent.kind) != EventKind.TRANSFER,
            col(TokenEvent.kind).in_(kinds),
        )
        .order_by(col(TokenEvent.block_number).desc(), col(TokenEvent.log_index).desc())
    ).first()
    return last is None or last == EventKind.PAUSED


def wallet_events(session: Session, token_no: int) -> list[WalletEvent]:
    """Return what the identity registry said that remains, in the order of the chain."""
    events = session.exec(
        select(TokenEvent)
        .where(
            col(TokenEvent.token_no) == token_no,
            # Said for the planner: all of these are in the small index.
            col(TokenEvent.kind) != EventKind.TRANSFER,
            col(TokenEvent.kind).in_(OF_WALLETS),
        )
        .order_by(col(TokenEvent.block_number), col(TokenEvent.log_index))
    )
    return [
        WalletEvent(token_no, event.block_number, event.kind, event.target, event.extra or {})
        for event in events
    ]


# Every part sees the rows as they were: the last span that begins in time is found once for each
# holder; spans of one holder do not overlap, so only that one can reach too far.
_REWIND = """
WITH h AS (SELECT unnest(%(holders)s::int4[]) AS holder_no),
last AS MATERIALIZED (
  SELECT h.holder_no, b.* FROM h LEFT JOIN LATERAL (
    SELECT block_number, balance_units, frozen_units, later_blocks, later_balances, later_frozen,
      coalesce(width_bucket(%(ancestor)s::int8, later_blocks), 0) AS kept
    FROM balance_at
    WHERE token_no = %(token)s AND holder_no = h.holder_no AND block_number <= %(ancestor)s
    ORDER BY block_number DESC LIMIT 1) AS b ON true),
taken AS (
  DELETE FROM balance_at
  WHERE token_no = %(token)s AND holder_no = ANY(%(holders)s::int4[])
    AND block_number > %(ancestor)s),
cut AS (
  UPDATE balance_at AS b SET
    later_blocks = b.later_blocks[:last.kept],
    later_balances = b.later_balances[:last.kept],
    later_frozen = b.later_frozen[:last.kept]
  FROM last
  WHERE last.kept < cardinality(last.later_blocks)
    AND b.token_no = %(token)s AND b.holder_no = last.holder_no
    AND b.block_number = last.block_number),
restored AS (
  UPDATE balance AS n SET
    balance_units = coalesce(last.later_balances[last.kept], last.balance_units),
    frozen_units = coalesce(last.later_frozen[last.kept], last.frozen_units),
    block_number = coalesce(last.later_blocks[last.kept], last.block_number)
  FROM last
  WHERE last.block_number IS NOT NULL
    AND n.token_no = %(token)s AND n.holder_no = last.holder_no)
-- who has no past before it
DELETE FROM balance AS n USING last
WHERE last.block_number IS NULL AND n.token_no = %(token)s AND n.holder_no = last.holder_no
"""


def _rewind_balances(session: Session, token_no: int, undone: list[_Undone], ancestor: int) -> None:
    """Give every touched holder the balance of the ancestor block."""
    moved = [row for row in undone if row.kind in MOVING]
    parties = {row.source for row in moved} | {row.target for row in moved}
    holders = sorted(holder for holder in parties if holder is not None)
    if not holders:
        return
    where = {"token": token_no, "holders": holders, "ancestor": ancestor}
    with bulk.cursor_of(session) as cursor:
        cursor.execute(_REWIND, where)
    session.expire_all()

"""Taking blocks back after a reorg, in one transaction, keeping what we knew.

Only what the lost blocks touched is read or written, so that the time depends on them and not on
the size of the token.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from registry.captable import bulk, contracts, lost_seal, sums
from registry.captable.events import ProjectedBlock
from registry.captable.former_tokens import forget_tokens
from registry.captable.ledger import MOVING
from registry.captable.models import (
    EventKind,
    RegisteredWallet,
    Token,
    TokenEvent,
)
from registry.captable.readings import note_apart
from registry.captable.refusals import withdraw_above
from registry.captable.suites import WALLETS, store_suites, suites_before
from registry.captable.times import CUT
from registry.captable.wallets import OF_WALLETS, WalletEvent, fold_wallets
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM
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
    tokens, adopted = _lock_tokens(session, chain_id)
    # Those whose deployment stays, or that somebody adopted; the others go.
    waiting = [token for token in adopted if tokens[token] > ancestor.number]
    standing = [token for token, first in tokens.items() if first <= ancestor.number] + waiting
    undeployed = sorted(tokens.keys() - standing)
    is_compacted = _is_compacted(session, chain_id, ancestor.number)
    suites = suites_before(session, tokens, ancestor.number)
    undone = _take_events(session, chain_id, tokens, ancestor)
    _take_history(session, tokens, ancestor.number)
    for token_no, told in undone.items():
        _rewind_balances(session, token_no, told.holders, ancestor.number, is_compacted)
    _rewind_tokens(session, tokens, undone, ancestor.number)
    store_suites(session, suites)
    if undeployed:
        forget_tokens(session, undeployed)
    if waiting:
        _await_tokens(session, chain_id, waiting, ancestor.number)
    for token_no in standing:
        kinds = undone.get(token_no, _Undone()).kinds
        _refold(session, token_no, kinds, is_rebuilt=token_no in suites)
    sums.require_equal(session, standing)
    withdraw_above(session, chain_id, ancestor.number)
    taken = _cut_blocks(session, chain_id, ancestor)
    contracts.take_back(session, chain_id, ancestor.number)
    lost_seal.seal_taken(session, chain_id)
    # What was written here, no row of the session's has seen.
    session.expire_all()
    return taken


def _lock_tokens(session: Session, chain_id: int) -> tuple[dict[int, int], list[int]]:
    """Lock all tokens of a chain.

    Returns
    -------
    tuple
        The first block of each by its number, and the numbers of those that were adopted.
    """
    query = "SELECT token_no, block_number, is_adopted FROM token WHERE chain_id = %s FOR UPDATE"
    with bulk.cursor_of(session) as cursor:
        found = cursor.execute(query, [chain_id], binary=True).fetchall()
    firsts = {token_no: first for token_no, first, _ in found}
    return firsts, [token_no for token_no, _, is_adopted in found if is_adopted]


def _is_compacted(session: Session, chain_id: int, number: int) -> bool:
    """Tell whether blocks above `number` may lie in spans that begin before it and must be cut."""
    query = "SELECT finalized_number > %s FROM sync_cursor WHERE chain_id = %s"
    with bulk.cursor_of(session) as cursor:
        row = cursor.execute(query, [number, chain_id]).fetchone()
    assert row is not None
    return bool(row[0])


# The ancestor itself stays, with the moment when we stored it.
_CUT = f"""
WITH above AS (
  DELETE FROM chain_block WHERE chain_id = %(chain)s AND number > %(number)s RETURNING number),
other AS (
  DELETE FROM chain_block
  WHERE chain_id = %(chain)s AND number = %(number)s AND hash <> %(hash)s),
moved AS (
  UPDATE sync_cursor SET number = %(number)s, hash = %(hash)s, checked_at = %(now)s, {CUT}
  WHERE chain_id = %(chain)s)
SELECT (SELECT count(*) FROM above), EXISTS (
  SELECT FROM chain_block
  WHERE chain_id = %(chain)s AND number = %(number)s AND hash = %(hash)s)
"""  # noqa: S608 - a statement of our own


def _cut_blocks(session: Session, chain_id: int, ancestor: ProjectedBlock) -> int:
    """Forget what is above the ancestor, where the cursor stands from now on."""
    where = {
        "chain": chain_id, "number": ancestor.number, "hash": ancestor.hash,
        "mined_at": ancestor.mined_at, "now": now(),
    }  # fmt: skip
    with bulk.cursor_of(session) as cursor:
        row = cursor.execute(_CUT, where).fetchone()
    assert row is not None
    taken, is_stored = row
    if not is_stored:
        bulk.copy_blocks(session, chain_id, [ancestor])
    return int(taken)


# The events are moved, not read first and taken later: they are told to us as they go. Where the
# chain was reset, its first block takes the place of another one, which is kept as well.
_TAKE = """
WITH gone AS (
  DELETE FROM token_event
  WHERE token_no = ANY(%(tokens)s::int4[]) AND block_number > %(ancestor)s
  RETURNING token_no, block_number, log_index, kind, tx_hash, source, target, units, extra),
told AS (
  SELECT block_number, array_agg(token_no) AS token_nos, array_agg(log_index) AS log_indexes,
    array_agg(kind) AS kinds, array_agg(tx_hash) AS tx_hashes, array_agg(source) AS sources,
    array_agg(target) AS targets, array_agg(units) AS amounts, array_agg(extra) AS extras
  FROM (SELECT * FROM gone ORDER BY block_number, log_index) in_turn
  GROUP BY block_number),
kept AS (
  INSERT INTO orphan_block (chain_id, hash, orphaned_at, number, mined_at, recorded_at,
    token_nos, log_indexes, kinds, tx_hashes, sources, targets, amounts, extras)
  SELECT b.chain_id, b.hash, now(), b.number, b.mined_at, b.recorded_at,
    coalesce(token_nos, '{}'), coalesce(log_indexes, '{}'), coalesce(kinds, '{}'),
    coalesce(tx_hashes, '{}'), coalesce(sources, '{}'), coalesce(targets, '{}'),
    coalesce(amounts, '{}'), coalesce(extras, '{}')
  FROM chain_block b LEFT JOIN told ON told.block_number = b.number
  WHERE b.chain_id = %(chain)s AND b.number >= %(ancestor)s
    AND (b.number > %(ancestor)s OR b.hash <> %(hash)s)
  ON CONFLICT (chain_id, hash, orphaned_at) DO UPDATE
  SET recorded_at = excluded.recorded_at, token_nos = excluded.token_nos,
    log_indexes = excluded.log_indexes, kinds = excluded.kinds, tx_hashes = excluded.tx_hashes,
    sources = excluded.sources, targets = excluded.targets, amounts = excluded.amounts,
    extras = excluded.extras),
moved AS (
  SELECT token_no, array_agg(holder_no) AS holders
  FROM (
    SELECT token_no, source AS holder_no FROM gone WHERE kind = ANY(%(moving)s::int4[])
    UNION
    SELECT token_no, target FROM gone WHERE kind = ANY(%(moving)s::int4[])) AS parties
  WHERE holder_no IS NOT NULL
  GROUP BY token_no)
SELECT token_no, kinds, minted, holders::text FROM (
  SELECT token_no, array_agg(DISTINCT kind) AS kinds,
    (coalesce(sum(units) FILTER (WHERE kind = %(transfer)s AND source IS NULL), 0)
    - coalesce(sum(units) FILTER (WHERE kind = %(transfer)s AND target IS NULL), 0))::text AS minted
  FROM gone GROUP BY token_no) AS undone
LEFT JOIN moved USING (token_no)
"""


class _Undone(NamedTuple):
    """What was taken back of one token.

    Parameters
    ----------
    kinds
        Of its events.
    minted
        By how much its supply had become larger; in digits, no integer of the server holds it.
    holders
        Whose balance or frozen part had changed, as the server writes an array of their numbers;
        None where nobody's had.
    """

    kinds: Collection[int] = ()
    minted: str = "0"
    holders: str | None = None


def _take_events(
    session: Session, chain_id: int, tokens: Collection[int], ancestor: ProjectedBlock
) -> dict[int, _Undone]:
    """Take what every token said above the ancestor, and keep it with its block as an orphan."""
    where = {
        "tokens": list(tokens),
        "chain": chain_id,
        "ancestor": ancestor.number,
        "hash": ancestor.hash,
        "moving": [int(kind) for kind in MOVING],
        "transfer": int(EventKind.TRANSFER),
    }
    with bulk.cursor_of(session) as cursor:
        return {
            token_no: _Undone(*row) for token_no, *row in cursor.execute(_TAKE, where, binary=True)
        }


# By block, not by holder: what is taken lies together, and no index is walked for each row.
_TAKE_HISTORY = """
DELETE FROM balance_at WHERE token_no = ANY(%(tokens)s::int4[]) AND block_number > %(ancestor)s
"""


def _take_history(session: Session, tokens: Collection[int], ancestor: int) -> None:
    where = {"tokens": list(tokens), "ancestor": ancestor}
    with bulk.cursor_of(session) as cursor:
        cursor.execute(_TAKE_HISTORY, where)


_REWIND_TOKENS = """
WITH proofs AS (
  DELETE FROM reconciliation
  WHERE token_no = ANY(%(tokens)s::int4[]) AND block_number > %(ancestor)s)
UPDATE token AS t SET
  supply_units = t.supply_units - coalesce(u.minted, 0),
  caught_up_to = CASE WHEN t.caught_up_to > %(ancestor)s THEN %(ancestor)s ELSE t.caught_up_to END
FROM unnest(%(tokens)s::int4[]) AS a(token_no)
LEFT JOIN unnest(%(undone)s::int4[], %(minted)s::text[]::numeric[]) AS u(token_no, minted)
  USING (token_no)
WHERE t.token_no = a.token_no AND (t.caught_up_to > %(ancestor)s OR u.minted <> 0)
"""


def _rewind_tokens(
    session: Session, tokens: Collection[int], undone: Mapping[int, _Undone], ancestor: int
) -> None:
    """Give every token the supply and the place that it had, and forget later proofs of it."""
    where = {
        "tokens": list(tokens),
        "undone": list(undone),
        "minted": [told.minted for told in undone.values()],
        "ancestor": ancestor,
    }
    with bulk.cursor_of(session) as cursor:
        cursor.execute(_REWIND_TOKENS, where)


_AWAIT = """
UPDATE token SET block_number = %(ancestor)s + 1, caught_up_to = %(ancestor)s, refusal = NULL,
  refused_at = NULL
WHERE token_no = ANY(%(tokens)s::int4[])
RETURNING address, old.block_number, old.refusal
"""


def _await_tokens(session: Session, chain_id: int, tokens: Sequence[int], ancestor: int) -> None:
    """Read adopted tokens again from the ancestor on: most are deployed again, in another block.

    Why one was refused went with its blocks.
    """
    with bulk.cursor_of(session) as cursor:
        told = cursor.execute(_AWAIT, {"tokens": tokens, "ancestor": ancestor}).fetchall()
    for address, first, refusal in told:
        journal.record(
            session, THE_SYSTEM, "token_taken_back", "token", f"0x{address.hex()}",
            chain_id=chain_id, first_block=first, ancestor=ancestor, was_refused_for=refusal,
        )  # fmt: skip
    for token_no in tokens:
        note_apart(session, session.get_one(Token, token_no), after=ancestor)


def _refold(session: Session, token_no: int, kinds: Collection[int], *, is_rebuilt: bool) -> None:
    """Fold what remains of a token's events anew, of those kinds that were taken back.

    Parameters
    ----------
    is_rebuilt
        Whether its suite is another again: then the wallets may be told by another contract.
    """
    if not {EventKind.PAUSED, EventKind.UNPAUSED}.isdisjoint(kinds):
        paused = was_paused(session, token_no)
        session.execute(update(Token).where(col(Token.token_no) == token_no).values(paused=paused))
    if is_rebuilt or not OF_WALLETS.isdisjoint(kinds):
        session.execute(delete(RegisteredWallet).where(col(RegisteredWallet.token_no) == token_no))
        fold_wallets(session, wallet_events(session, token_no))


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
            col(TokenEvent.kind).in_(OF_WALLETS)
            | (
                (col(TokenEvent.kind) == EventKind.CONTROL) & col(TokenEvent.extra).op("?")(WALLETS)
            ),
        )
        .order_by(col(TokenEvent.block_number), col(TokenEvent.log_index))
    )
    return [
        WalletEvent(token_no, event.block_number, event.kind, event.target, event.extra or {})
        for event in events
    ]


# Most have changed once since the ancestor, and tell themselves how they stood before. Their
# numbers come from a SELECT: of thousands that stand there the planner weighs each by itself.
_RESTORE = """
WITH restored AS (
  UPDATE balance SET
    balance_units = before_units, frozen_units = before_frozen, block_number = before_block,
    before_block = NULL, before_units = NULL, before_frozen = NULL
  WHERE token_no = %(token)s AND holder_no = ANY((SELECT %(holders)s::text::int4[])::int4[])
    AND block_number > %(ancestor)s AND before_block BETWEEN 0 AND %(ancestor)s
  RETURNING holder_no)
SELECT array_agg(holder_no)::text FROM (
  SELECT unnest(%(holders)s::text::int4[]) EXCEPT ALL SELECT holder_no FROM restored
) AS others(holder_no)
"""
# Every part sees the rows as they were: the last span that begins in time is found once for each
# holder; spans of one holder do not overlap, so only that one can reach too far.
_REWIND = """
WITH h AS (SELECT unnest(%(holders)s::text::int4[]) AS holder_no),
last AS MATERIALIZED (
  SELECT h.holder_no, b.* FROM h LEFT JOIN LATERAL (
    SELECT block_number, balance_units, frozen_units, later_blocks, later_balances, later_frozen,
      coalesce(width_bucket(%(ancestor)s::int8, later_blocks), 0) AS kept
    FROM balance_at
    WHERE token_no = %(token)s AND holder_no = h.holder_no AND block_number <= %(ancestor)s
    ORDER BY block_number DESC LIMIT 1) AS b ON true),
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
    block_number = coalesce(last.later_blocks[last.kept], last.block_number),
    before_block = NULL, before_units = NULL, before_frozen = NULL
  FROM last
  WHERE last.block_number IS NOT NULL
    AND n.token_no = %(token)s AND n.holder_no = last.holder_no)
-- who has no past before it
DELETE FROM balance AS n USING last
WHERE last.block_number IS NULL AND n.token_no = %(token)s AND n.holder_no = last.holder_no
"""


def _rewind_balances(
    session: Session, token_no: int, holders: str | None, ancestor: int, is_compacted: bool
) -> None:
    """Give every touched holder the balance of the ancestor block."""
    if holders is None:
        return
    where = {"token": token_no, "holders": holders, "ancestor": ancestor}
    with bulk.cursor_of(session) as cursor:
        if not is_compacted:
            (others,) = cursor.execute(_RESTORE, where).fetchone() or (None,)
            where["holders"] = others
        if where["holders"] is not None:
            cursor.execute(_REWIND, where)

"""Rounds of the rules: what is new since the last one is looked at, and no more.

Of a chain, the blocks from a place on, up to the head: an alert comes with the block, and says so
when a reorg takes it back. What was found is written in one transaction with the place, so
that nothing is found twice or left out, wherever a program dies. Two programs may take rounds at
once: whoever comes second finds the place moved, and finds nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.alert import holdings, listed, structuring
from registry.alert.finding import Found
from registry.alert.models import Alert, AlertCursor, AlertRule, AlertState
from registry.alert.policy import alert_policy
from registry.alert.service import raise_alert, take_back
from registry.captable.feed import Place, kept_place
from registry.captable.models import ChainBlock, SyncCursor, Token
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Invalid
from registry.kernel.ids import first_id_of
from registry.tokenization.models import Tokenization

BLOCKS_AT_ONCE = 50_000
"""From the first to the last block of a round."""
LONGEST_TRANSACTION = timedelta(seconds=60)
"""A row whose id was made so long ago is there to be seen, or never will be."""
PAYMENTS, HITS = "payments", "hits"
NOWHERE = Place(-1, b"")
NO_ID = UUID(int=0)
_LOCK = 0x616C6572
"""Of PostgreSQL's advisory locks: one at a time writes what it found."""


def take_round(database: Database, chain_id: int) -> bool:
    """Look at what is new on the chain, of payments and of hits; tell whether there was anything.

    The chain is read in a transaction of its own, so that nobody who writes it waits for us.
    """
    with database.reading() as session:
        seen = look_at_chain(session, chain_id)
    with database.transaction() as session:
        if not session.scalar(select(func.pg_try_advisory_xact_lock(_LOCK))):
            return False
        raised = note_chain(session, seen) if seen is not None else 0
        raised += look_at_payments(session) + look_at_hits(session)
    return raised > 0 or seen is not None


# -- the chain -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ChainRound:
    """What was found from one place to the next.

    Parameters
    ----------
    begun
        Where the last round ended.
    kept
        The last block of it that the chain still has; what was found above was taken back.
    """

    chain_id: int
    begun: Place
    kept: Place
    ended: Place
    found: Sequence[Found]


def look_at_chain(
    session: Session,
    chain_id: int,
    *,
    blocks: int = BLOCKS_AT_ONCE,
) -> ChainRound | None:
    """Ask the rules about the next blocks; None where there are none, and none was taken back."""
    begun = _place_of(session.get(AlertCursor, f"chain:{chain_id}"))
    kept = _kept(session, chain_id, begun)
    ended = _end(session, chain_id, kept, blocks)
    if ended == begun:
        return None
    span = holdings.Span(chain_id, kept.number, ended.number)
    found = list(holdings.find_in(session, span, alert_policy(session)))
    return ChainRound(chain_id, begun, kept, ended, found)


def note_chain(session: Session, seen: ChainRound) -> int:
    """Raise what a round found, if nobody else has gone on meanwhile; return how many are new."""
    key = f"chain:{seen.chain_id}"
    cursor = session.get(AlertCursor, key, with_for_update=True, populate_existing=True)
    if _place_of(cursor) != seen.begun:
        return 0
    if seen.kept != seen.begun:
        _take_back_above(session, seen)
    raised = sum(raise_alert(session, found) for found in seen.found)
    cursor = cursor or AlertCursor(source=key)
    cursor.block_number, cursor.block_hash = seen.ended.number, seen.ended.hash
    session.add(cursor)
    session.flush()
    return raised


def _place_of(cursor: AlertCursor | None) -> Place:
    if cursor is None or cursor.block_number is None or cursor.block_hash is None:
        return NOWHERE
    return Place(cursor.block_number, cursor.block_hash)


def _kept(session: Session, chain_id: int, begun: Place) -> Place:
    if begun == NOWHERE:
        return begun
    try:
        return kept_place(session, chain_id, begun)
    except Invalid:
        # The projection was thrown away and read anew: so is everything here, which raises
        # nothing twice.
        return NOWHERE


def _end(session: Session, chain_id: int, kept: Place, blocks: int) -> Place:
    """Return the last block of the round, of those that we keep."""
    sync = session.get(SyncCursor, chain_id)
    if sync is None:
        return kept
    # A token of ours that is being read anew is waited for: what it says is in the past.
    behind = session.exec(
        select(func.min(Token.caught_up_to))
        .join(Tokenization, col(Tokenization.token_address) == col(Token.address))
        .where(col(Token.chain_id) == chain_id, col(Token.refusal).is_(None))
    ).one()
    last = sync.number if behind is None else min(sync.number, behind)
    of_chain = select(ChainBlock).where(
        col(ChainBlock.chain_id) == chain_id,
        col(ChainBlock.number) > kept.number,
        col(ChainBlock.number) <= last,
    )
    number = col(ChainBlock.number)
    block = session.exec(
        of_chain.where(number <= kept.number + blocks).order_by(number.desc()).limit(1)
    ).first()
    block = block or session.exec(of_chain.order_by(number).limit(1)).first()
    return kept if block is None else Place(block.number, block.hash)


def _take_back_above(session: Session, seen: ChainRound) -> None:
    """Take back what stands in blocks that the chain no longer has."""
    taken = session.exec(
        select(Alert)
        .outerjoin(
            ChainBlock,
            (col(ChainBlock.chain_id) == col(Alert.chain_id))
            & (col(ChainBlock.number) == col(Alert.block_number))
            & (col(ChainBlock.hash) == col(Alert.block_hash)),
        )
        .where(
            col(Alert.chain_id) == seen.chain_id,
            col(Alert.block_number) > seen.kept.number,
            col(Alert.taken_back_at).is_(None),
            col(ChainBlock.number).is_(None),
        )
        .order_by(col(Alert.id))
    ).all()
    for alert in taken:
        take_back(session, alert)


# -- rows that are only ever added -----------------------------------------------------------


def look_at_payments(session: Session) -> int:
    """Ask about the payments that were booked since; return how many alerts are new."""
    cursor = _cursor(session, PAYMENTS)
    entries = structuring.booked_since(session, cursor.last_id or NO_ID)
    raised = 0
    if entries:
        for found in structuring.find_of(
            session, {party for _, party in entries}, alert_policy(session)
        ):
            raised += _raise_group(session, found)
    is_full = len(entries) == structuring.ENTRIES_AT_ONCE
    _move(session, cursor, entries[-1][0] if is_full else None)
    return raised


def look_at_hits(session: Session) -> int:
    """Ask about the hits that were found since; return how many alerts are new."""
    cursor = _cursor(session, HITS)
    hits = listed.hits_since(session, cursor.last_id or NO_ID)
    found = listed.find_in(hits, alert_policy(session)) if hits else []
    raised = sum(raise_alert(session, item) for item in found)
    _move(session, cursor, hits[-1].id if len(hits) == listed.HITS_AT_ONCE else None)
    return raised


def _cursor(session: Session, source: str) -> AlertCursor:
    known = session.get(AlertCursor, source, with_for_update=True, populate_existing=True)
    return known or AlertCursor(source=source)


def _move(session: Session, cursor: AlertCursor, full_to: UUID | None) -> None:
    """Go on from the last of a full page; else from where no row can appear any more."""
    before = cursor.last_id or NO_ID
    cursor.last_id = full_to or max(before, first_id_of(now() - LONGEST_TRANSACTION))
    session.add(cursor)
    session.flush()


def _raise_group(session: Session, found: Found) -> bool:
    """Raise an alert of payments, unless it tells nothing that another one does not.

    A payment that comes later into the window of an alert that nobody has looked at is added to
    its evidence; beside any other one it is an alert of its own.
    """
    named = set(found.evidence["payments"])
    for alert in session.exec(
        select(Alert)
        .where(col(Alert.rule) == AlertRule.STRUCTURING, col(Alert.party_id) == found.party_id)
        .order_by(col(Alert.id))
        .with_for_update()
    ):
        told = set(alert.evidence["payments"])
        if named <= told:
            return False
        if told < named and alert.state == AlertState.OPEN:
            _grow(session, alert, found)
            return False
    return raise_alert(session, found)


def _grow(session: Session, alert: Alert, found: Found) -> None:
    new = sorted({*found.evidence["payments"]} - {*alert.evidence["payments"]})
    alert.evidence, alert.happened_at = dict(found.evidence), found.happened_at
    session.add(alert)
    session.flush()
    journal.record(
        session, THE_SYSTEM, "alert_grew", "alert", alert.id, rule=alert.rule, payments=new
    )

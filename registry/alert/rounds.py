"""Rounds of the rules: what is new since the last one is looked at, and no more.

Of a chain, the blocks from a place on, up to the head: an alert comes with the block, and says so
when a reorg takes it back. What was found is written in one transaction with the place, so
that nothing is found twice or left out, wherever a program dies. The chain, payments, hits and
wallets have one each: what stops one of them stops no other. Two programs may take rounds at once:
whoever comes second finds the place moved, and finds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar
from uuid import UUID

from sqlalchemy import func, text
from sqlmodel import Session, col, select

from registry.alert import cursors, holdings, listed, proven, structuring
from registry.alert.cursors import NOWHERE, WALLETS, Reached
from registry.alert.finding import Found
from registry.alert.models import Alert, AlertRule, AlertState
from registry.alert.policy import AlertPolicies, alert_policies
from registry.alert.service import raise_alert, take_back
from registry.alert.steps import Span
from registry.captable.feed import Place, kept_place
from registry.captable.models import ChainBlock, SyncCursor, Token
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM
from registry.kernel.clock import now
from registry.kernel.db import Database
from registry.kernel.errors import Invalid
from registry.kernel.ids import first_id_of
from registry.kernel.vault import Vault
from registry.tokenization.models import Tokenization

BLOCKS_AT_ONCE = 50_000
"""From the first to the last block of a round."""
LONGEST_LEAD = timedelta(seconds=60)
"""So long before its transaction begins to write, at most, the id of a row is made."""
PAYMENTS, HITS = "payments", "hits"
_OLDEST_WRITER = """
SELECT min(xact_start) FROM pg_stat_activity
WHERE datname = current_database() AND backend_xid IS NOT NULL
"""
R = TypeVar("R")
_LOCK = 0x616C6572
"""Of PostgreSQL's advisory locks: one at a time writes what it found."""


def take_round(database: Database, vault: Vault, chain_id: int) -> bool:
    """Look at what is new of the chain, payments, hits, wallets; tell whether there was anything.

    A fault of one is raised once the others had their turn.
    """
    turns: tuple[Callable[[], bool], ...] = (
        lambda: _follow(database, vault, chain_id),
        lambda: bool(_write(database, look_at_payments)),
        lambda: bool(_write(database, look_at_hits)),
        lambda: bool(_write(database, lambda session: look_at_wallets(session, vault, chain_id))),
    )
    news, faults = False, []
    for turn in turns:
        try:
            news |= turn()
        except Exception as fault:  # noqa: BLE001 - it is raised below
            faults.append(fault)
    if faults:
        raise faults[0]
    return news


def _follow(database: Database, vault: Vault, chain_id: int) -> bool:
    """Read the chain in a transaction of its own, so that nobody who writes it waits for us."""
    with database.reading() as session:
        seen = look_at_chain(session, vault, chain_id)
    if seen is None:
        return False
    return _write(database, lambda session: note_chain(session, vault, seen)) is not None


def _write(database: Database, note: Callable[[Session], int]) -> int | None:
    """Write what was found and return how many alerts are new; None while another program does."""
    with database.transaction() as session:
        if not session.scalar(select(func.pg_try_advisory_xact_lock(_LOCK))):
            return None
        return note(session)


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
    vault: Vault,
    chain_id: int,
    *,
    blocks: int = BLOCKS_AT_ONCE,
) -> ChainRound | None:
    """Ask the rules about the next blocks; None where there are none, and none was taken back."""
    begun = cursors.reached(session, vault, cursors.chain_source(chain_id)).place
    kept = _kept(session, chain_id, begun)
    ended = _end(session, chain_id, kept, blocks)
    if ended == begun:
        # Nothing is new; but one that was moved is put back, however long no block comes.
        is_moved = cursors.is_moved(session, vault, cursors.chain_source(chain_id))
        return ChainRound(chain_id, begun, kept, ended, ()) if is_moved else None
    span = Span(chain_id, kept.number, ended.number)
    found = list(holdings.find_in(session, span, alert_policies(session)))
    return ChainRound(chain_id, begun, kept, ended, found)


def note_chain(session: Session, vault: Vault, seen: ChainRound) -> int:
    """Raise what a round found, if nobody else has gone on meanwhile; return how many are new."""
    source = cursors.chain_source(seen.chain_id)
    if cursors.reached(session, vault, source, lock=True).place != seen.begun:
        return 0
    raised = 0
    if seen.kept != seen.begun:
        taken = _take_back_above(session, seen)
        raised = _ask_again(session, seen, {alert.party_id for alert in taken if alert.party_id})
    raised += sum(raise_alert(session, found) for found in seen.found)
    cursors.move(session, vault, source, Reached(seen.ended))
    return raised


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
    behind = _read_apart_to(session, chain_id)
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


def _read_apart_to(session: Session, chain_id: int) -> int | None:
    """Return to which block that token of ours is known that is the furthest behind its chain."""
    return session.exec(
        select(func.min(Token.caught_up_to))
        .join(Tokenization, col(Tokenization.token_address) == col(Token.address))
        .where(col(Token.chain_id) == chain_id, col(Token.refusal).is_(None))
    ).one()


def _take_back_above(session: Session, seen: ChainRound) -> Sequence[Alert]:
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
    return taken


def _ask_again(session: Session, seen: ChainRound, parties: set[UUID]) -> int:
    """Ask about wallets of whom an alert was taken back: they may be large below as well.

    The rules of the chain tell only who crosses in a block, and a wallet is proven once.
    """
    found = proven.find_in(
        session, proven.wallets_of(session, parties), alert_policies(session),
        chain_id=seen.chain_id, block_number=seen.kept.number,
    )  # fmt: skip
    return sum(raise_alert(session, item) for item in found)


# -- rows that are only ever added -----------------------------------------------------------


def payments_source(policies: AlertPolicies) -> str:
    """Name the cursor of payments by the thresholds with which they were looked at.

    With others they are looked at from the start, which raises nothing twice.
    """
    return f"{PAYMENTS}:{policies.of_payments}"


def hits_source(policies: AlertPolicies) -> str:
    """Name the cursor of hits, as that of payments."""
    return f"{HITS}:{policies.of_hits}"


def look_at_payments(session: Session) -> int:
    """Ask about the payments that were booked since; return how many alerts are new."""
    policies, raised = alert_policies(session), 0
    source = payments_source(policies)
    for entries in _pages(
        session, source, structuring.booked_since, structuring.ENTRIES_AT_ONCE, lambda row: row[0]
    ):
        for found in structuring.find_of(session, {party for _, party in entries}, policies):
            raised += _raise_group(session, found)
    return raised


def look_at_hits(session: Session) -> int:
    """Ask about the hits that were found since; return how many alerts are new."""
    policies, raised = alert_policies(session), 0
    source = hits_source(policies)
    for hits in _pages(session, source, listed.hits_since, listed.HITS_AT_ONCE, lambda row: row.id):
        raised += sum(raise_alert(session, item) for item in listed.find_in(hits, policies))
    return raised


def look_at_wallets(session: Session, vault: Vault, chain_id: int) -> int:
    """Ask about the wallets that were proven since; return how many alerts are new.

    None is passed over while a token of ours is being read again below the last block at which the
    rules of the chain looked: what its wallets had there is not known. They never ask of it again.
    Nor is one while that block is lost, until they have gone back.
    """
    looked = cursors.reached(session, vault, cursors.chain_source(chain_id)).place
    behind = _read_apart_to(session, chain_id)
    is_behind = behind is not None and behind < looked.number
    if is_behind or _kept(session, chain_id, looked) != looked:
        return 0
    policies, raised = alert_policies(session), 0
    read = proven.wallets_since
    for wallets in _pages(
        session, WALLETS, read, proven.WALLETS_AT_ONCE, lambda row: row, vault=vault
    ):
        found = proven.find_in(
            session, wallets, policies, chain_id=chain_id, block_number=looked.number
        )
        raised += sum(raise_alert(session, item) for item in found)
    return raised


def _pages(
    session: Session,
    source: str,
    read: Callable[[Session, UUID], Sequence[R]],
    at_once: int,
    id_of: Callable[[R], UUID],
    *,
    vault: Vault | None = None,
) -> Iterator[Sequence[R]]:
    """Give what was added since the last round, then move to where no row can appear any more.

    One page in each round, and all pages that reach into what others may still be writing: from
    there everything is read again.
    """
    settled = first_id_of(settled_until(session))
    since = before = cursors.reached(session, vault, source, lock=True).last_id
    while True:
        page = read(session, since)
        if page:
            yield page
            since = id_of(page[-1])
        if len(page) < at_once:
            since = settled
        if since <= settled:
            break
    cursors.move(session, vault, source, Reached(last_id=max(before, since)))


def settled_until(session: Session) -> datetime:
    """Return until when every row whose id was made is there to be seen, or never will be.

    That is asked before rows are read: of what is written meanwhile the ids are later. A writer
    of another role is seen where ours may read all of `pg_stat_activity`.
    """
    oldest = session.scalar(text(_OLDEST_WRITER))
    return min(now(), oldest or now()) - LONGEST_LEAD


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

"""The cap table as it moves: block after block, and what a reorg takes back, from any place on.

A place is a block by number and hash, so whoever comes back after a reorg is told which of the
blocks that they know are gone, before the new ones. A token that is read beside its chain holds its
readers back at what is read of it; where it was read again, what they know may be wrong altogether.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self

from sqlmodel import Session, col, select

from registry.captable.blocks import AsOfBlock
from registry.captable.bulk import cursor_of
from registry.captable.degraded import doubt_of
from registry.captable.models import ChainBlock, EventKind, Token
from registry.captable.orphans import OrphanBlock
from registry.captable.readings import times_read_again
from registry.captable.service import block_at
from registry.captable.supply import supply_at
from registry.captable.transfers import TransferFilter, TransferRow, list_transfers
from registry.kernel.errors import Invalid

BLOCKS_AT_ONCE = 50
LOST_AT_ONCE = 1000
"""Of the blocks that a reorg took; a deep one is told in pieces."""
MOST_TRANSFERS = 100_000
"""More than any block has room for."""
_PLACE = re.compile(r"([0-9]{1,15})-([0-9a-f]{64})(?:-([0-9]{1,9}))?")


@dataclass(frozen=True, slots=True)
class Place:
    """Up to which block somebody has been told everything.

    Parameters
    ----------
    reading
        How often the token had been read again by then; no part of where on the chain it is.
    """

    number: int
    hash: bytes
    reading: int = field(default=0, compare=False)

    def __str__(self) -> str:
        again = f"-{self.reading}" if self.reading else ""
        return f"{self.number}-{self.hash.hex()}{again}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what `str` wrote.

        Raises
        ------
        Invalid
            ``event_id_malformed``.
        """
        match = _PLACE.fullmatch(text)
        if match is None:
            raise Invalid(
                "event_id_malformed",
                "Last-Event-ID is not an id that this stream gave.",
                field="Last-Event-ID",
                remedy="Send the id of the last event, or none to begin at the newest block.",
            )
        return cls(int(match[1]), bytes.fromhex(match[2]), int(match[3] or 0))


@dataclass(frozen=True, slots=True)
class HolderNow:
    """What a wallet holds after a block that changed it."""

    address: bytes
    balance_units: int
    frozen_units: int


@dataclass(frozen=True, slots=True)
class Act:
    """Anything else that a block said of the token."""

    kind: EventKind
    source: bytes | None
    target: bytes | None
    units: int | None


@dataclass(frozen=True, slots=True)
class BlockAdded:
    """A block that said something of the token."""

    block: AsOfBlock
    supply_units: int
    transfers: Sequence[TransferRow]
    acts: Sequence[Act]
    holders: Sequence[HolderNow]


@dataclass(frozen=True, slots=True)
class BlockTaken:
    """A block that said something of the token, and that a reorg has taken."""

    number: int
    hash: bytes
    mined_at: datetime
    orphaned_at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """One piece of news, and the place after it."""

    place: Place
    news: BlockAdded | BlockTaken


@dataclass(slots=True)
class Feed:
    """What is new since a place.

    Parameters
    ----------
    more
        There is more than was asked for.
    is_void
        What was told before is not to be relied on: whoever follows has to read the token anew,
        and then goes on from the place, where they are told the same until it has caught up.
    is_apart
        The place stays below the cursor of the chain, since the token is read beside it.
    """

    place: Place
    news: list[Told] = field(default_factory=list)
    more: bool = False
    is_void: bool = False
    is_apart: bool = False


def begin(session: Session, token: Token) -> Place:
    """Give the place of whoever knows a token that is read up to the newest block."""
    block = block_at(session, token.chain_id, None)
    return Place(block.number, block.hash, times_read_again(session, token))


def check_place(session: Session, token: Token, place: Place) -> None:
    """Refuse a place that we never had, or from which no way is kept to the chain of today.

    Raises
    ------
    Invalid
        ``event_id_unknown``.
    """
    kept_place(session, token.chain_id, place)


def kept_place(session: Session, chain_id: int, place: Place) -> Place:
    """Return the highest block below a place that the chain still has; itself, where it does.

    Raises
    ------
    Invalid
        ``event_id_unknown``: we never had such a block, or do not know what was below it.
    """
    while not _is_kept(session, chain_id, place):
        moment = _lost_at(session, chain_id, place)
        with cursor_of(session) as cursor:
            lowest = cursor.execute(_LOWEST, {"chain": chain_id, "moment": moment}).fetchone()
        assert lowest is not None, "an aggregate has one row"
        place = _below(session, chain_id, lowest[0], moment)
    return place


def read_feed(session: Session, token: Token, since: Place) -> Feed:
    """Tell what happened to a token since a place: first what a reorg took, the newest first.

    Parameters
    ----------
    token
        As it was once found; how it stands now is looked up.

    Raises
    ------
    Invalid
        ``event_id_unknown``: we never had such a block.
    """
    found = session.get(Token, token.token_no)
    if found is not None and times_read_again(session, found) != since.reading:
        return Feed(begin(session, found) if found.is_told_whole else since, is_void=True)
    feed = _taken_since(session, token, since)
    if feed.more:
        return feed
    if found is None or found.refusal is not None:
        # Its deployment was taken back, and may come again; or nothing more is read of it.
        feed.is_void = True
        return feed
    blocks = _blocks_after(session, token, feed.place.number)
    doubt = doubt_of(session, found) if blocks else None
    for number, digest, mined_at, head, degraded in blocks[:BLOCKS_AT_ONCE]:
        confirmations = max(head - number, 0)
        block = AsOfBlock(number, digest, mined_at, confirmations, degraded=degraded or doubt)
        feed.place = Place(number, digest, since.reading)
        feed.news.append(Told(feed.place, _added(session, token, block)))
    feed.more = len(blocks) > BLOCKS_AT_ONCE
    feed.is_apart = not feed.more and found.caught_up_to is not None
    if not (feed.more or feed.is_apart):
        feed.place = begin(session, found)
    return feed


# -- what a reorg took -----------------------------------------------------------------------


def _taken_since(session: Session, token: Token, since: Place) -> Feed:
    """Tell of the lost blocks from a place down to what is kept, or of as many as go at once."""
    feed = Feed(since)
    while not _is_kept(session, token.chain_id, feed.place):
        if len(feed.news) >= LOST_AT_ONCE:
            feed.more = True
            break
        moment = _lost_at(session, token.chain_id, feed.place)
        where = {
            "chain": token.chain_id, "token": token.token_no, "moment": moment,
            "number": feed.place.number, "limit": LOST_AT_ONCE + 1,
        }  # fmt: skip
        with cursor_of(session) as cursor:
            lost = cursor.execute(_LOST, where).fetchall()
        # Where whoever reads is after each: the next one that is lost, or what is below them all.
        places = [Place(number, digest, since.reading) for number, digest, *_ in lost[1:]]
        if len(lost) <= LOST_AT_ONCE:
            below = _below(session, token.chain_id, lost[-1][0], moment)
            places.append(replace(below, reading=since.reading))
        for place, (number, digest, mined_at, is_of_token) in zip(places, lost, strict=False):
            if is_of_token:
                feed.news.append(Told(place, BlockTaken(number, digest, mined_at, moment)))
        feed.place = places[-1]
    return feed


def _is_kept(session: Session, chain_id: int, place: Place) -> bool:
    block = session.get(ChainBlock, (chain_id, place.number))
    return block is not None and block.hash == place.hash


def _lost_at(session: Session, chain_id: int, place: Place) -> datetime:
    """Return when a reorg took a place last.

    Raises
    ------
    Invalid
        ``event_id_unknown``.
    """
    newest = session.exec(
        select(OrphanBlock.number, OrphanBlock.orphaned_at)
        .where(col(OrphanBlock.chain_id) == chain_id, col(OrphanBlock.hash) == place.hash)
        .order_by(col(OrphanBlock.orphaned_at).desc())
        .limit(1)
    ).first()
    if newest is None or newest[0] != place.number:
        raise _unknown()
    return newest[1]


def _unknown() -> Invalid:
    return Invalid(
        "event_id_unknown",
        "Last-Event-ID names a block that this chain never had here.",
        field="Last-Event-ID",
        remedy="Read the cap table anew, and follow the stream without an id.",
    )


def _below(session: Session, chain_id: int, number: int, moment: datetime) -> Place:
    """Return what was below the lowest block of the branch that a reorg took at a moment.

    Raises
    ------
    Invalid
        ``event_id_unknown``: nothing below it is kept. A second reset of a chain once threw the
        first block away that the one before had brought.
    """
    where = {"chain": chain_id, "number": number, "moment": moment}
    with cursor_of(session) as cursor:
        below = cursor.execute(_BELOW, where).fetchone()
        if below is None:
            # It was stored when the branch was taken, as the first of what was stored then; it may
            # have taken the place of the lowest.
            below = cursor.execute(_ANCESTOR, where).fetchone()
    if below is None:
        raise _unknown()
    return Place(*below)


# Not what the blocks said: only whether it was of the token.
_LOST = """
SELECT number, hash, mined_at, %(token)s::int4 = ANY(token_nos)
FROM (
  SELECT number, hash, mined_at, token_nos FROM orphan_block
  WHERE chain_id = %(chain)s AND orphaned_at = %(moment)s AND number <= %(number)s
  ORDER BY number DESC LIMIT %(limit)s) lost
ORDER BY number DESC
"""
_LOWEST = """
SELECT min(number) FROM orphan_block WHERE chain_id = %(chain)s AND orphaned_at = %(moment)s
"""
# Of the branch of that moment, whether or not it was taken later. What was stored at that very
# moment is of the branch that came instead, in the same transaction.
_KNOWN = """
SELECT number, hash FROM (
  SELECT number, hash FROM chain_block
  WHERE chain_id = %(chain)s AND number {below} %(number)s AND recorded_at {when} %(moment)s
  UNION ALL
  SELECT number, hash FROM orphan_block
  WHERE chain_id = %(chain)s AND number {below} %(number)s AND recorded_at {when} %(moment)s
    AND orphaned_at > %(moment)s) known
ORDER BY number {order} LIMIT 1
"""
_BELOW = _KNOWN.format(below="<", when="<", order="DESC")
_ANCESTOR = _KNOWN.format(below="<=", when="=", order="ASC")

# -- what came instead -----------------------------------------------------------------------

_BLOCKS = """
SELECT e.block_number, b.hash, b.mined_at, c.head_number, c.degraded
FROM (SELECT DISTINCT block_number FROM token_event
      WHERE token_no = %(token)s AND block_number > %(after)s
      ORDER BY block_number LIMIT %(limit)s) e
JOIN chain_block b ON b.chain_id = %(chain)s AND b.number = e.block_number
JOIN sync_cursor c ON c.chain_id = b.chain_id
ORDER BY e.block_number
"""
_HOLDERS = """
SELECT h.address, s.balance_units, s.frozen_units
FROM (SELECT unnest(ARRAY[source, target]) AS holder_no FROM token_event
      WHERE token_no = %(token)s AND block_number = %(block)s AND kind = ANY(%(moving)s)
      GROUP BY 1) e
JOIN holder h USING (holder_no)
CROSS JOIN LATERAL (
  SELECT
    coalesce(later_balances[width_bucket(%(block)s::int8, later_blocks)], balance_units)
      AS balance_units,
    coalesce(later_frozen[width_bucket(%(block)s::int8, later_blocks)], frozen_units)
      AS frozen_units
  FROM balance_at
  WHERE token_no = %(token)s AND holder_no = e.holder_no AND block_number <= %(block)s
  ORDER BY block_number DESC LIMIT 1) s
ORDER BY h.address
"""
_MOVING = [EventKind.TRANSFER, EventKind.TOKENS_FROZEN, EventKind.TOKENS_UNFROZEN]
_ACTS = """
SELECT e.kind, s.address, t.address, e.units
FROM token_event e
LEFT JOIN holder s ON s.holder_no = e.source
LEFT JOIN holder t ON t.holder_no = e.target
WHERE e.token_no = %(token)s AND e.block_number = %(block)s AND e.kind <> 1
ORDER BY e.log_index
"""


def _blocks_after(
    session: Session, token: Token, number: int
) -> Sequence[tuple[int, bytes, datetime, int, str | None]]:
    values = {
        "token": token.token_no,
        "chain": token.chain_id,
        "after": number,
        "limit": BLOCKS_AT_ONCE + 1,
    }
    with cursor_of(session) as cursor:
        return cursor.execute(_BLOCKS, values).fetchall()


def _added(session: Session, token: Token, block: AsOfBlock) -> BlockAdded:
    values = {"token": token.token_no, "block": block.number, "moving": _MOVING}
    with cursor_of(session) as cursor:
        holders = [
            HolderNow(address, int(balance), int(frozen))
            for address, balance, frozen in cursor.execute(_HOLDERS, values)
        ]
        acts = [
            Act(EventKind(kind), source, target, int(units) if units is not None else None)
            for kind, source, target, units in cursor.execute(_ACTS, values)
        ]
    wanted = TransferFilter(since=block.number, until=block)
    return BlockAdded(
        block,
        supply_at(session, token, block),
        list_transfers(session, token, wanted, limit=MOST_TRANSFERS),
        acts,
        holders,
    )

"""Writing the cap table: one range of blocks is one transaction, cursor included."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import update
from sqlmodel import Session, col, select

from registry.captable import bulk, contracts, sums
from registry.captable.columns import Transfers
from registry.captable.events import (
    ProjectedBlock,
    ProjectedEvent,
    ProjectedRange,
    ProjectedToken,
)
from registry.captable.former_tokens import former_numbers
from registry.captable.ledger import Numbered, changes_of, minted_of
from registry.captable.models import EventKind, SyncCursor, Token
from registry.captable.readings import note_apart
from registry.captable.suites import WALLETS, fold_suites
from registry.captable.times import STEPPED, times_of
from registry.captable.wallets import OF_WALLETS, WalletEvent, fold_wallets
from registry.kernel import failpoints
from registry.kernel.clock import now


class CursorMoved(Exception):
    """Another writer moved the cursor; what we read may no longer be applied."""


def open_cursor(
    session: Session, chain_id: int, start: ProjectedBlock, head_number: int
) -> SyncCursor:
    """Begin the projection after `start`, or return the cursor that stands."""
    cursor = session.get(SyncCursor, chain_id)
    if cursor is None:
        cursor = SyncCursor(
            chain_id=chain_id,
            number=start.number,
            hash=start.hash,
            head_number=head_number,
            checked_at=now(),
            latest_mined_at=start.mined_at,
        )
        session.add(cursor)
        bulk.copy_blocks(session, chain_id, [start])
    return cursor


def next_generation(session: Session, chain_id: int) -> int:
    """Begin a new generation of writers; what those before it still want to write is refused."""
    cursor = session.get_one(SyncCursor, chain_id, with_for_update=True, populate_existing=True)
    cursor.generation += 1
    session.add(cursor)
    session.flush()
    return cursor.generation


def apply_range(
    session: Session, chain_id: int, *, after: tuple[int, bytes], found: ProjectedRange
) -> None:
    """Project a range that begins right after the cursor `after` (number, hash).

    Raises
    ------
    CursorMoved
        The cursor is not where the range begins; nothing is changed.
    SumDiffers
        See `apply_events`.
    """
    _step(session, chain_id, after=after, found=found)
    if others := found.blocks[:-1]:
        bulk.copy_blocks(session, chain_id, others)
    transfers, events = found.transfers, found.events
    if found.tokens and (apart := _add_tokens(session, chain_id, found.tokens)):
        transfers = transfers.without(apart)
        events = [event for event in events if event.token not in apart]
    apply_events(session, chain_id, transfers, events)
    if found.contract_events:
        contracts.append(session, chain_id, found.contract_events)


def _add_tokens(session: Session, chain_id: int, found: Sequence[ProjectedToken]) -> set[bytes]:
    """Add tokens that are deployed; name those that are caught up by themselves.

    A token that was adopted is known before its deployment is read, where a reorg goes so far back.
    """
    addresses = [token.address for token in found]
    known = session.exec(
        select(Token).where(col(Token.chain_id) == chain_id, col(Token.address).in_(addresses))
    ).all()
    numbers = former_numbers(session, chain_id, addresses)
    added: list[Token] = []
    for token in found:
        if token.address in {each.address for each in known}:
            continue
        row = Token(
            token_no=numbers.get(token.address),
            chain_id=chain_id,
            address=token.address,
            identity_registry=token.identity_registry,
            compliance=token.compliance,
            block_number=token.block_number,
            caught_up_to=token.block_number - 1 if token.is_apart else None,
        )
        session.add(row)
        added.append(row)
    session.flush()
    apart = [row for row in (*known, *added) if row.caught_up_to is not None]
    for row in apart:
        note_apart(session, row, after=row.block_number - 1)
    return {row.address for row in apart}


_TO = """
UPDATE sync_cursor SET number = %(to_number)s, hash = %(to_hash)s, head_number = %(head)s,
  checked_at = %(now)s
"""
_FROM = " WHERE chain_id = %(chain)s AND number = %(number)s AND hash = %(hash)s"
_MOVE = _TO + _FROM
_STEP = f"""
WITH moved AS ({_TO}, {STEPPED} {_FROM} RETURNING chain_id)
INSERT INTO chain_block (chain_id, number, hash, parent_hash, mined_at)
SELECT chain_id, %(to_number)s, %(to_hash)s, %(to_parent)s, %(to_time)s FROM moved
"""  # noqa: S608 - a statement of our own


def move_cursor(
    session: Session,
    chain_id: int,
    *,
    after: tuple[int, bytes],
    to: ProjectedBlock,
    head_number: int,
) -> None:
    """Move the cursor if it still stands at `after`; this update is the reorg guard.

    Raises
    ------
    CursorMoved
        It does not.
    """
    where = _move_of(chain_id, after, to, head_number)
    with bulk.cursor_of(session) as cursor:
        moved = cursor.execute(_MOVE, where).rowcount
    _note_moved(session, moved)


def _step(
    session: Session,
    chain_id: int,
    *,
    after: tuple[int, bytes],
    found: ProjectedRange,
) -> None:
    """Move the cursor to the end of a range, and store that block, in one statement."""
    to = found.end
    where = _move_of(chain_id, after, to, found.head_number) | times_of(found.blocks)
    where |= {"to_parent": to.parent_hash, "to_time": to.mined_at}
    with bulk.cursor_of(session) as cursor:
        moved = cursor.execute(_STEP, where).rowcount
    _note_moved(session, moved)


def _move_of(
    chain_id: int, after: tuple[int, bytes], to: ProjectedBlock, head_number: int
) -> dict[str, Any]:
    return {
        "chain": chain_id,
        "number": after[0],
        "hash": after[1],
        "to_number": to.number,
        "to_hash": to.hash,
        "head": head_number,
        "now": now(),
    }


def _note_moved(session: Session, moved: int) -> None:
    if not moved:
        raise CursorMoved
    bulk.forget(session, SyncCursor)


def touch_cursor(session: Session, chain_id: int) -> None:
    """Note that the chain was looked at and had nothing new."""
    session.execute(
        update(SyncCursor).where(col(SyncCursor.chain_id) == chain_id).values(checked_at=now())
    )


def apply_events(
    session: Session, chain_id: int, transfers: Transfers, events: Sequence[ProjectedEvent]
) -> None:
    """Apply what tokens that are known said, both in the order of the chain.

    Parameters
    ----------
    events
        All but the transfers.

    Raises
    ------
    SumDiffers
        The holders of a token would not have what was minted of it.
    """
    if not len(transfers) and not events:
        return
    numbers, holders = bulk.lock_and_number(
        session,
        chain_id,
        transfers.named_tokens() | {event.token for event in events},
        transfers.named_wallets() | _parties(events),
    )
    numbered = Numbered.of(transfers, numbers, holders)
    if len(transfers):
        bulk.copy_transfers(session, numbered)
    if events:
        bulk.copy_events(session, events, numbers, holders)
    failpoints.reach("sync_mid_copy")
    changes = changes_of(numbered, events, numbers, holders)
    if len(changes.holder_no):
        held = bulk.read_holdings(session, changes)
        spans = changes.upon(held.balances, held.frozen)
        bulk.copy_spans(session, spans)
        bulk.store_balances(session, spans, held.is_known)
    _fold_tokens(session, numbers, minted_of(transfers), events)
    fold_suites(session, numbers, events)
    sums.require_equal(session, list(numbers.values()))
    fold_wallets(
        session,
        [
            WalletEvent(
                token_no=numbers[event.token],
                block_number=event.block_number,
                kind=event.kind,
                holder_no=holders[event.target] if event.target else None,
                extra=event.extra or {},
            )
            for event in events
            if event.kind in OF_WALLETS or WALLETS in (event.extra or {})
        ],
    )


def _parties(events: Sequence[ProjectedEvent]) -> set[bytes]:
    """Name everybody whom events name."""
    named = {
        address
        for event in events
        for address in (event.source, event.target)
        if address is not None
    }
    for event in events:
        named.update(bytes.fromhex(row[0]) for row in (event.extra or {}).get(WALLETS, ()))
    return named


_FOLD = """
UPDATE token AS t SET
  supply_units = t.supply_units + f.minted, paused = coalesce(f.paused, t.paused)
FROM unnest(%s::int4[], %s::text[]::numeric[], %s::bool[]) AS f(token_no, minted, paused)
WHERE t.token_no = f.token_no
"""


def _fold_tokens(
    session: Session,
    numbers: Mapping[bytes, int],
    minted: Mapping[bytes, int],
    events: Iterable[ProjectedEvent],
) -> None:
    """Fold what the tokens themselves are: their supply, and whether they are paused."""
    paused = {
        event.token: event.kind == EventKind.PAUSED
        for event in events
        if event.kind in {EventKind.PAUSED, EventKind.UNPAUSED}
    }
    changed = [token for token in numbers if minted.get(token) or token in paused]
    if changed:
        with bulk.cursor_of(session) as cursor:
            cursor.execute(
                _FOLD,
                [
                    [numbers[token] for token in changed],
                    [str(minted.get(token, 0)) for token in changed],
                    [paused.get(token) for token in changed],
                ],
            )
    bulk.forget(session, Token)

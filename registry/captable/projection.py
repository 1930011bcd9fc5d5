"""Writing the cap table: one range of blocks is one transaction, cursor included."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from registry.captable import bulk
from registry.captable.bulk import EventRow
from registry.captable.events import ProjectedBlock, ProjectedEvent, ProjectedRange
from registry.captable.models import (
    EventKind,
    RegisteredWallet,
    SyncCursor,
    Token,
)
from registry.captable.spans import Span, fold, touched_by
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
        )
        session.add(cursor)
        bulk.copy_blocks(session, chain_id, [start])
    return cursor


def apply_range(
    session: Session, chain_id: int, *, after: tuple[int, bytes], found: ProjectedRange
) -> None:
    """Project a range that begins right after the cursor `after` (number, hash).

    Raises
    ------
    CursorMoved
        The cursor is not where the range begins; nothing is changed.
    """
    move_cursor(session, chain_id, after=after, to=found.end, head_number=found.head_number)
    bulk.copy_blocks(session, chain_id, found.blocks)
    for token in found.tokens:
        session.add(
            Token(
                chain_id=chain_id,
                address=token.address,
                identity_registry=token.identity_registry,
                compliance=token.compliance,
                block_number=token.block_number,
            )
        )
    session.flush()
    if found.events:
        _apply_events(session, found.events)


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
    number, digest = after
    moved = session.execute(
        update(SyncCursor)
        .where(
            col(SyncCursor.chain_id) == chain_id,
            col(SyncCursor.number) == number,
            col(SyncCursor.hash) == digest,
        )
        .values(number=to.number, hash=to.hash, head_number=head_number, checked_at=now())
        .returning(col(SyncCursor.chain_id))
    )
    if moved.first() is None:
        raise CursorMoved


def touch_cursor(session: Session, chain_id: int) -> None:
    """Note that the chain was looked at and had nothing new."""
    session.execute(
        update(SyncCursor).where(col(SyncCursor.chain_id) == chain_id).values(checked_at=now())
    )


def _apply_events(session: Session, events: Sequence[ProjectedEvent]) -> None:
    tokens = {
        token.address: token
        for token in session.exec(
            select(Token)
            .where(col(Token.address).in_({event.token for event in events}))
            .with_for_update()
        )
    }
    addresses = {event.source for event in events} | {event.target for event in events}
    holders: dict[bytes | None, int | None] = {None: None}
    holders |= bulk.intern(session, {item for item in addresses if item is not None}).items()
    numbers = {address: token.token_no or 0 for address, token in tokens.items()}
    rows = [
        EventRow(
            numbers[event.token],
            event.block_number,
            event.log_index,
            int(event.kind),
            event.tx_hash,
            holders[event.source],
            holders[event.target],
            event.units,
            event.extra,
        )
        for event in events
    ]
    bulk.copy_events(session, rows)
    fold_balances(session, rows)
    fold_tokens(session, list(tokens.values()), rows)
    fold_wallets(session, rows)


def fold_balances(session: Session, rows: Sequence[EventRow]) -> None:
    """Fold transfers and freezes into balances and their history, in the order of the chain."""
    touched = touched_by(rows)
    if not touched:
        return
    held = bulk.read_holdings(session, touched)
    spans = {key: Span(held.get(key, (0, 0))) for key in touched}
    fold(rows, spans)
    changed = {key: span for key, span in spans.items() if span.blocks}
    bulk.copy_spans(session, changed)
    bulk.store_balances(session, changed)


def fold_tokens(session: Session, tokens: Sequence[Token], rows: Sequence[EventRow]) -> None:
    """Fold mints, burns and pauses into the tokens themselves."""
    minted = {token.token_no: 0 for token in tokens}
    paused = {}
    for row in rows:
        if row.kind == EventKind.TRANSFER:
            if row.source is None:
                minted[row.token_no] += row.units or 0
            if row.target is None:
                minted[row.token_no] -= row.units or 0
        elif row.kind in {EventKind.PAUSED, EventKind.UNPAUSED}:
            paused[row.token_no] = row.kind == EventKind.PAUSED
    for token in tokens:
        token.supply_units = int(token.supply_units) + minted[token.token_no]
        token.paused = paused.get(token.token_no or 0, token.paused)
    session.add_all(tokens)
    session.flush()


OF_WALLETS = frozenset(
    {
        EventKind.IDENTITY_REGISTERED,
        EventKind.IDENTITY_REMOVED,
        EventKind.IDENTITY_UPDATED,
        EventKind.COUNTRY_UPDATED,
    }
)


def fold_wallets(session: Session, rows: Iterable[EventRow]) -> None:
    """Fold the identity registries' events into who is registered for which token."""
    for row in rows:
        if row.kind in OF_WALLETS:
            _fold_wallet(session, row)


def _fold_wallet(session: Session, row: EventRow) -> None:
    extra = row.extra or {}
    if row.kind == EventKind.IDENTITY_REGISTERED:
        assert row.target is not None
        session.merge(
            RegisteredWallet(
                token_no=row.token_no,
                holder_no=row.target,
                identity=bytes.fromhex(extra["identity"]),
                country=extra["country"],
                block_number=row.block_number,
            )
        )
    elif row.kind == EventKind.IDENTITY_REMOVED:
        session.execute(
            delete(RegisteredWallet).where(
                col(RegisteredWallet.token_no) == row.token_no,
                col(RegisteredWallet.holder_no) == row.target,
            )
        )
    elif row.kind == EventKind.COUNTRY_UPDATED:
        wallet = session.get_one(RegisteredWallet, (row.token_no, row.target))
        wallet.country, wallet.block_number = extra["country"], row.block_number
        session.add(wallet)
    elif row.kind == EventKind.IDENTITY_UPDATED:
        # The log names no wallet: every wallet of the old identity has the new one.
        session.execute(
            update(RegisteredWallet)
            .where(
                col(RegisteredWallet.token_no) == row.token_no,
                col(RegisteredWallet.identity) == bytes.fromhex(extra["old_identity"]),
            )
            .values(identity=bytes.fromhex(extra["identity"]), block_number=row.block_number)
        )
    session.flush()

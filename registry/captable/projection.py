"""Writing the cap table: one range of blocks is one transaction, cursor included."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain, groupby
from operator import attrgetter
from typing import Any, NamedTuple

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from registry.captable import bulk, contracts, sums
from registry.captable.events import (
    ProjectedBlock,
    ProjectedEvent,
    ProjectedRange,
    ProjectedToken,
)
from registry.captable.ledger import Ledger, Parties
from registry.captable.models import (
    EventKind,
    RegisteredWallet,
    SyncCursor,
    Token,
)
from registry.captable.spans import Span
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
    move_cursor(session, chain_id, after=after, to=found.end, head_number=found.head_number)
    bulk.copy_blocks(session, chain_id, found.blocks)
    events = found.events
    if found.tokens:
        apart = _add_tokens(session, chain_id, found.tokens)
        events = [event for event in events if event.token not in apart]
    if events:
        apply_events(session, chain_id, events)
    if found.contract_events:
        contracts.append(session, chain_id, found.contract_events)


def _add_tokens(session: Session, chain_id: int, found: Sequence[ProjectedToken]) -> set[bytes]:
    """Add tokens that are deployed; name those that are caught up by themselves already.

    A token that was adopted is known before its deployment is read, where a reorg goes so far
    back.
    """
    addresses = [token.address for token in found]
    known = session.exec(
        select(Token).where(col(Token.chain_id) == chain_id, col(Token.address).in_(addresses))
    ).all()
    for token in found:
        if token.address not in {each.address for each in known}:
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
    return {each.address for each in known if each.caught_up_to is not None}


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


def apply_events(session: Session, chain_id: int, events: Sequence[ProjectedEvent]) -> None:
    """Apply events of tokens that are known, in the order of the chain.

    Raises
    ------
    SumDiffers
        The holders of a token would not have what was minted of it.
    """
    parties = Parties(events)
    moving = parties.moving
    tokens = session.exec(
        select(Token)
        .where(col(Token.chain_id) == chain_id, col(Token.address).in_(list(moving)))
        .with_for_update()
    ).all()
    numbers = bulk.intern(session, parties.named)
    ledgers = {
        token.address: _open_ledger(session, token, moving[token.address], numbers)
        for token in tokens
    }
    runs = groupby(events, key=attrgetter("token"))
    bulk.copy_events(session, chain.from_iterable(ledgers[token].fold(run) for token, run in runs))
    failpoints.reach("sync_mid_copy")
    bulk.copy_spans(session, ledgers.values())
    for token in tokens:
        ledger = ledgers[token.address]
        bulk.store_balances(session, ledger)
        token.supply_units = int(token.supply_units) + ledger.minted
        if ledger.paused is not None:
            token.paused = ledger.paused
    session.add_all(tokens)
    sums.require_equal(session, [ledger.token_no for ledger in ledgers.values()])
    fold_wallets(
        session,
        [
            WalletEvent(
                token_no=ledgers[event.token].token_no,
                block_number=event.block_number,
                kind=event.kind,
                holder_no=numbers[event.target] if event.target else None,
                extra=event.extra or {},
            )
            for event in events
            if event.kind in OF_WALLETS
        ],
    )


def _open_ledger(
    session: Session, token: Token, moving: Collection[bytes], numbers: Mapping[bytes, int]
) -> Ledger:
    assert token.token_no is not None
    held = bulk.read_holdings(session, token.token_no, [numbers[item] for item in moving])
    spans = {item: Span(numbers[item], *held.get(numbers[item], (0, 0))) for item in moving}
    return Ledger(token.token_no, spans, numbers)


OF_WALLETS = frozenset(
    {
        EventKind.IDENTITY_REGISTERED,
        EventKind.IDENTITY_REMOVED,
        EventKind.IDENTITY_UPDATED,
        EventKind.COUNTRY_UPDATED,
    }
)


class WalletEvent(NamedTuple):
    """What an identity registry said."""

    token_no: int
    block_number: int
    kind: int
    holder_no: int | None
    extra: dict[str, Any]


def fold_wallets(session: Session, events: Iterable[WalletEvent]) -> None:
    """Fold the identity registries' events into who is registered for which token.

    Registrations that follow each other, with which a token begins by the thousand, by set.
    """
    for kind, run in groupby(events, key=attrgetter("kind")):
        if kind == EventKind.IDENTITY_REGISTERED:
            _register(session, run)
        else:
            for event in run:
                _fold_wallet(session, event)


def _register(session: Session, events: Iterable[WalletEvent]) -> None:
    rows = {
        (event.token_no, event.holder_no): {
            "token_no": event.token_no,
            "holder_no": event.holder_no,
            "identity": bytes.fromhex(event.extra["identity"]),
            "country": event.extra["country"],
            "block_number": event.block_number,
        }
        for event in events
    }
    new = insert(RegisteredWallet)
    told = {name: new.excluded[name] for name in ("identity", "country", "block_number")}
    key = (col(RegisteredWallet.token_no), col(RegisteredWallet.holder_no))
    session.connection().execute(
        new.on_conflict_do_update(index_elements=key, set_=told), list(rows.values())
    )


def _fold_wallet(session: Session, event: WalletEvent) -> None:
    if event.kind == EventKind.IDENTITY_REMOVED:
        session.execute(
            delete(RegisteredWallet).where(
                col(RegisteredWallet.token_no) == event.token_no,
                col(RegisteredWallet.holder_no) == event.holder_no,
            )
        )
    elif event.kind == EventKind.COUNTRY_UPDATED:
        key = (event.token_no, event.holder_no)
        wallet = session.get_one(RegisteredWallet, key, populate_existing=True)
        wallet.country, wallet.block_number = event.extra["country"], event.block_number
        session.add(wallet)
    elif event.kind == EventKind.IDENTITY_UPDATED:
        # The log names no wallet. Where the transaction does not tell it either, every wallet of
        # the old identity has the new one.
        old, new = event.extra["old_identity"], event.extra["identity"]
        is_meant = (
            col(RegisteredWallet.identity) == bytes.fromhex(old)
            if event.holder_no is None
            else col(RegisteredWallet.holder_no) == event.holder_no
        )
        session.execute(
            update(RegisteredWallet)
            .where(col(RegisteredWallet.token_no) == event.token_no, is_meant)
            .values(identity=bytes.fromhex(new), block_number=event.block_number)
        )
    session.flush()

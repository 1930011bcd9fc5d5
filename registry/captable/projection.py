"""Writing the cap table: one range of blocks is one transaction, cursor included."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import delete, insert, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlmodel import Session, col, select

from registry.captable.events import ProjectedBlock, ProjectedEvent, ProjectedRange
from registry.captable.models import (
    Balance,
    BalanceAt,
    ChainBlock,
    EventKind,
    Holder,
    RegisteredWallet,
    SyncCursor,
    Token,
    TokenEvent,
)
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
        session.execute(insert(ChainBlock).values(_block_row(chain_id, start)))
        session.flush()
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
    session.execute(insert(ChainBlock), [_block_row(chain_id, block) for block in found.blocks])
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


def _block_row(chain_id: int, block: ProjectedBlock) -> dict[str, Any]:
    return {
        "chain_id": chain_id,
        "number": block.number,
        "hash": block.hash,
        "parent_hash": block.parent_hash,
        "mined_at": block.mined_at,
    }


def _apply_events(session: Session, events: Sequence[ProjectedEvent]) -> None:
    tokens = {
        token.address: token
        for token in session.exec(
            select(Token)
            .where(col(Token.address).in_({event.token for event in events}))
            .with_for_update()
        )
    }
    holders = _intern(
        session,
        {address for event in events for address in (event.source, event.target) if address},
    )
    rows = [
        {
            "token_no": tokens[event.token].token_no,
            "block_number": event.block_number,
            "log_index": event.log_index,
            "kind": int(event.kind),
            "tx_hash": event.tx_hash,
            "source": holders[event.source] if event.source else None,
            "target": holders[event.target] if event.target else None,
            "units": event.units,
            "extra": event.extra,
        }
        for event in events
    ]
    session.execute(insert(TokenEvent), rows)
    fold_balances(session, rows)
    fold_tokens(session, list(tokens.values()), rows)
    fold_wallets(session, rows)


def _intern(session: Session, addresses: Collection[bytes]) -> dict[bytes, int]:
    if addresses:
        session.execute(
            upsert(Holder).on_conflict_do_nothing(), [{"address": item} for item in addresses]
        )
    rows = session.exec(
        select(Holder.address, Holder.holder_no).where(col(Holder.address).in_(addresses))
    )
    return {address: number for address, number in rows if number is not None}


def fold_balances(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Fold transfers and freezes into balances and their history, in the order of the chain."""
    touched = {
        (row["token_no"], holder)
        for row in rows
        for holder in (row["source"], row["target"])
        if holder is not None
    }
    current: dict[tuple[int, int], tuple[int, int]] = dict.fromkeys(touched, (0, 0))
    for known in session.exec(
        select(Balance).where(
            col(Balance.token_no).in_({token for token, _ in touched}),
            col(Balance.holder_no).in_({holder for _, holder in touched}),
        )
    ):
        key = (known.token_no, known.holder_no)
        if key in current:
            current[key] = (int(known.balance_units), int(known.frozen_units))
    history: dict[tuple[int, int, int], tuple[int, int]] = {}

    def change(row: dict[str, Any], holder: int | None, balance: int, frozen: int) -> None:
        if holder is not None:
            key = (row["token_no"], holder)
            now_balance, now_frozen = current[key]
            current[key] = (now_balance + balance, now_frozen + frozen)
            history[*key, row["block_number"]] = current[key]

    for row in rows:
        units = int(row["units"] or 0)
        if row["kind"] == EventKind.TRANSFER:
            change(row, row["source"], -units, 0)
            change(row, row["target"], units, 0)
        elif row["kind"] == EventKind.TOKENS_FROZEN:
            change(row, row["target"], 0, units)
        elif row["kind"] == EventKind.TOKENS_UNFROZEN:
            change(row, row["target"], 0, -units)
    _store_balances(session, history)


def _store_balances(session: Session, history: dict[tuple[int, int, int], tuple[int, int]]) -> None:
    if not history:
        return
    rows = [
        {
            "token_no": token,
            "holder_no": holder,
            "block_number": block,
            "balance_units": balance,
            "frozen_units": frozen,
        }
        for (token, holder, block), (balance, frozen) in history.items()
    ]
    session.execute(insert(BalanceAt), rows)
    newest = {(row["token_no"], row["holder_no"]): row for row in rows}
    statement = upsert(Balance)
    session.execute(
        statement.on_conflict_do_update(
            index_elements=["token_no", "holder_no"],
            set_={
                name: statement.excluded[name]
                for name in ("balance_units", "frozen_units", "block_number")
            },
        ),
        list(newest.values()),
    )


def fold_tokens(session: Session, tokens: Sequence[Token], rows: Sequence[dict[str, Any]]) -> None:
    """Fold mints, burns and pauses into the tokens themselves."""
    by_number = {token.token_no: token for token in tokens}
    for row in rows:
        token = by_number[row["token_no"]]
        if row["kind"] == EventKind.TRANSFER:
            units = int(row["units"])
            minted = units if row["source"] is None else 0
            burned = units if row["target"] is None else 0
            token.supply_units = int(token.supply_units) + minted - burned
        elif row["kind"] in {EventKind.PAUSED, EventKind.UNPAUSED}:
            token.paused = row["kind"] == EventKind.PAUSED
    session.add_all(tokens)
    session.flush()


def fold_wallets(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Fold the identity registries' events into who is registered for which token."""
    for row in rows:
        key = {"token_no": row["token_no"], "holder_no": row["target"]}
        extra = row["extra"] or {}
        if row["kind"] == EventKind.IDENTITY_REGISTERED:
            values = key | {
                "identity": bytes.fromhex(extra["identity"]),
                "country": extra["country"],
                "block_number": row["block_number"],
            }
            session.merge(RegisteredWallet(**values))
        elif row["kind"] == EventKind.IDENTITY_REMOVED:
            session.execute(
                delete(RegisteredWallet).where(
                    col(RegisteredWallet.token_no) == row["token_no"],
                    col(RegisteredWallet.holder_no) == row["target"],
                )
            )
        elif row["kind"] == EventKind.COUNTRY_UPDATED:
            wallet = session.get_one(RegisteredWallet, (row["token_no"], row["target"]))
            wallet.country, wallet.block_number = extra["country"], row["block_number"]
            session.add(wallet)
        elif row["kind"] == EventKind.IDENTITY_UPDATED:
            # The log names no wallet: every wallet of the old identity has the new one.
            session.execute(
                update(RegisteredWallet)
                .where(
                    col(RegisteredWallet.token_no) == row["token_no"],
                    col(RegisteredWallet.identity) == bytes.fromhex(extra["old_identity"]),
                )
                .values(identity=bytes.fromhex(extra["identity"]), block_number=row["block_number"])
            )
        session.flush()

"""Taking blocks back after a reorg, in one transaction, keeping what we knew."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, func, insert, update
from sqlmodel import Session, col, select

from registry.captable.events import ProjectedBlock
from registry.captable.models import (
    Balance,
    BalanceAt,
    ChainBlock,
    OrphanBlock,
    Reconciliation,
    RegisteredWallet,
    SyncCursor,
    Token,
    TokenEvent,
)
from registry.captable.projection import fold_tokens, fold_wallets
from registry.kernel.clock import now


def rewind(session: Session, chain_id: int, ancestor: ProjectedBlock) -> int:
    """Take back every block above `ancestor`.

    Returns
    -------
    int
        Blocks taken back, of those that we had stored.
    """
    taken = _keep_as_orphans(session, chain_id, ancestor.number)
    tokens = session.exec(
        select(Token).where(col(Token.chain_id) == chain_id).with_for_update()
    ).all()
    for token in tokens:
        assert token.token_no is not None
        _rewind_balances(session, token.token_no, ancestor.number)
        session.execute(
            delete(TokenEvent).where(
                col(TokenEvent.token_no) == token.token_no,
                col(TokenEvent.block_number) > ancestor.number,
            )
        )
        session.execute(
            delete(Reconciliation).where(
                col(Reconciliation.token_no) == token.token_no,
                col(Reconciliation.block_number) > ancestor.number,
            )
        )
        session.execute(
            delete(RegisteredWallet).where(col(RegisteredWallet.token_no) == token.token_no)
        )
        if token.block_number > ancestor.number:
            session.delete(token)
        else:
            _refold(session, token)
    session.execute(
        delete(ChainBlock).where(
            col(ChainBlock.chain_id) == chain_id, col(ChainBlock.number) >= ancestor.number
        )
    )
    session.execute(insert(ChainBlock).values(chain_id=chain_id, **_columns(ancestor)))
    session.execute(
        update(SyncCursor)
        .where(col(SyncCursor.chain_id) == chain_id)
        .values(number=ancestor.number, hash=ancestor.hash, checked_at=now())
    )
    session.flush()
    return taken


def _columns(block: ProjectedBlock) -> dict[str, Any]:
    return {
        "number": block.number,
        "hash": block.hash,
        "parent_hash": block.parent_hash,
        "mined_at": block.mined_at,
    }


def _keep_as_orphans(session: Session, chain_id: int, ancestor_number: int) -> int:
    blocks = session.exec(
        select(ChainBlock).where(
            col(ChainBlock.chain_id) == chain_id, col(ChainBlock.number) > ancestor_number
        )
    ).all()
    for block in blocks:
        events = session.exec(
            select(TokenEvent)
            .join(Token, col(Token.token_no) == col(TokenEvent.token_no))
            .where(col(Token.chain_id) == chain_id, col(TokenEvent.block_number) == block.number)
            .order_by(col(TokenEvent.log_index))
        )
        session.merge(
            OrphanBlock(
                chain_id=chain_id,
                hash=block.hash,
                number=block.number,
                orphaned_at=now(),
                events=[_as_json(event) for event in events],
            )
        )
    session.flush()
    return len(blocks)


def _as_json(event: TokenEvent) -> dict[str, Any]:
    row = event.model_dump()
    row["tx_hash"] = event.tx_hash.hex()
    row["units"] = str(event.units) if event.units is not None else None
    return row


def _rewind_balances(session: Session, token_no: int, ancestor_number: int) -> None:
    """Give every touched holder the balance of the ancestor block."""
    undone = session.execute(
        delete(BalanceAt)
        .where(col(BalanceAt.token_no) == token_no, col(BalanceAt.block_number) > ancestor_number)
        .returning(col(BalanceAt.holder_no))
    )
    holders = {row.holder_no for row in undone}
    session.execute(
        delete(Balance).where(
            col(Balance.token_no) == token_no, col(Balance.holder_no).in_(holders)
        )
    )
    newest = (
        select(BalanceAt.holder_no, func.max(col(BalanceAt.block_number)).label("block_number"))
        .where(col(BalanceAt.token_no) == token_no, col(BalanceAt.holder_no).in_(holders))
        .group_by(col(BalanceAt.holder_no))
        .subquery()
    )
    rows = session.exec(
        select(BalanceAt)
        .join(
            newest,
            (col(BalanceAt.holder_no) == newest.c.holder_no)
            & (col(BalanceAt.block_number) == newest.c.block_number),
        )
        .where(col(BalanceAt.token_no) == token_no)
    ).all()
    session.add_all(Balance(**row.model_dump()) for row in rows)
    session.flush()


def _refold(session: Session, token: Token) -> None:
    """Recompute what is not kept as history from the events that remain."""
    events = session.exec(
        select(TokenEvent)
        .where(col(TokenEvent.token_no) == token.token_no)
        .order_by(col(TokenEvent.block_number), col(TokenEvent.log_index))
    )
    rows = [event.model_dump() for event in events]
    token.supply_units, token.paused = 0, True
    fold_tokens(session, [token], rows)
    fold_wallets(session, rows)

"""Who holds a token now, counted as its modules count: by identity, not by wallet."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, exists, func
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from registry.captable.models import (
    Balance,
    ChainBlock,
    EventKind,
    Holder,
    RegisteredWallet,
    Token,
    TokenEvent,
)
from registry.investor.models import Wallet
from registry.kernel.rows import among


def count_holders(session: Session, token: Token) -> int:
    """Count the identities that hold; a wallet without one counts for itself."""
    return session.exec(
        select(
            func.count(
                func.distinct(func.coalesce(col(RegisteredWallet.identity), col(Holder.address)))
            )
        )
        .select_from(Balance)
        .join(Holder, col(Holder.holder_no) == col(Balance.holder_no))
        .outerjoin(
            RegisteredWallet,
            (col(RegisteredWallet.token_no) == col(Balance.token_no))
            & (col(RegisteredWallet.holder_no) == col(Balance.holder_no)),
        )
        .where(col(Balance.token_no) == token.token_no, col(Balance.balance_units) > 0)
    ).one()


def units_of(session: Session, token: Token, investor_ids: Collection[UUID]) -> Mapping[UUID, int]:
    """Return the units in all wallets of each of some investors who hold any."""
    rows = session.exec(
        select(Wallet.investor_id, func.sum(col(Balance.balance_units)))
        .join(Holder, col(Holder.address) == col(Wallet.address))
        .join(Balance, col(Balance.holder_no) == col(Holder.holder_no))
        .where(
            col(Balance.token_no) == token.token_no,
            among(col(Wallet.investor_id), investor_ids),
        )
        .group_by(col(Wallet.investor_id))
    )
    return {investor_id: int(units) for investor_id, units in rows}


def holds(token: Token, investor_id: Mapped[UUID]) -> ColumnElement[bool]:
    """Give the condition that an investor holds some of a token.

    Parameters
    ----------
    investor_id
        The column that names the investor.
    """
    return exists().where(
        col(Wallet.investor_id) == investor_id,
        col(Holder.address) == col(Wallet.address),
        col(Balance.holder_no) == col(Holder.holder_no),
        col(Balance.token_no) == token.token_no,
        col(Balance.balance_units) > 0,
    )


def minted_since(session: Session, token: Token, address: bytes, moment: datetime) -> int:
    """Return the units that were minted to a wallet after a moment."""
    minted = session.exec(
        select(func.coalesce(func.sum(col(TokenEvent.units)), 0))
        .select_from(TokenEvent)
        .join(Holder, col(Holder.holder_no) == col(TokenEvent.target))
        .join(
            ChainBlock,
            (col(ChainBlock.chain_id) == token.chain_id)
            & (col(ChainBlock.number) == col(TokenEvent.block_number)),
        )
        .where(
            col(TokenEvent.token_no) == token.token_no,
            col(TokenEvent.kind) == EventKind.TRANSFER,
            col(TokenEvent.source).is_(None),
            col(Holder.address) == address,
            col(ChainBlock.mined_at) > moment,
        )
    ).one()
    return int(minted or 0)

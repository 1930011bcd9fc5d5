"""What the projection says of a token's holders, by identity."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func
from sqlmodel import Session, col, select

from registry.captable.models import (
    Balance,
    EventKind,
    Holder,
    RegisteredWallet,
    Token,
    TokenEvent,
)


@dataclass(frozen=True, slots=True)
class Standing:
    """One wallet at one token."""

    identity: bytes | None = None
    country: int | None = None
    balance_units: int = 0
    frozen_units: int = 0


def standing_of(session: Session, token: Token, address: bytes) -> Standing:
    """Return what is projected of a wallet; nothing where it was never heard of."""
    row = session.exec(
        select(RegisteredWallet, Balance)
        .select_from(Holder)
        .outerjoin(
            RegisteredWallet,
            (col(RegisteredWallet.holder_no) == col(Holder.holder_no))
            & (col(RegisteredWallet.token_no) == token.token_no),
        )
        .outerjoin(
            Balance,
            (col(Balance.holder_no) == col(Holder.holder_no))
            & (col(Balance.token_no) == token.token_no),
        )
        .where(col(Holder.address) == address)
    ).first()
    if row is None:
        return Standing()
    registered, balance = row
    return Standing(
        identity=registered.identity if registered else None,
        country=registered.country if registered else None,
        balance_units=int(balance.balance_units) if balance else 0,
        frozen_units=int(balance.frozen_units) if balance else 0,
    )


def owned(
    session: Session, token: Token, identity: bytes | None, address: bytes
) -> tuple[int, int]:
    """Return the units in all wallets of an identity, and how many of them hold any.

    A wallet without identity stands for itself, as the modules take it.
    """
    query = (
        select(func.coalesce(func.sum(col(Balance.balance_units)), 0), func.count())
        .select_from(Balance)
        .where(col(Balance.token_no) == token.token_no, col(Balance.balance_units) > 0)
    )
    if identity is None:
        query = query.join(Holder, col(Holder.holder_no) == col(Balance.holder_no)).where(
            col(Holder.address) == address
        )
    else:
        query = query.join(
            RegisteredWallet,
            (col(RegisteredWallet.token_no) == col(Balance.token_no))
            & (col(RegisteredWallet.holder_no) == col(Balance.holder_no)),
        ).where(col(RegisteredWallet.identity) == identity)
    units, wallets = session.exec(query).one()
    return int(units), wallets


def was_opened(session: Session, token: Token) -> bool:
    """Tell whether transfers were ever open."""
    opened = select(TokenEvent.block_number).where(
        col(TokenEvent.token_no) == token.token_no, col(TokenEvent.kind) == EventKind.UNPAUSED
    )
    return session.exec(opened.limit(1)).first() is not None

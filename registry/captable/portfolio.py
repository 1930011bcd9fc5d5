"""Which tokens there are, and what one investor holds of them in all wallets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import literal
from sqlmodel import Session, col, select

from registry.captable.models import Balance, Holder, RegisteredWallet, Token
from registry.investor.models import Wallet
from registry.tokenization.models import Tokenization


@dataclass(frozen=True, slots=True)
class Holding:
    """One wallet's fractions of one token."""

    tokenization: Tokenization
    wallet: bytes
    balance_units: int
    frozen_units: int


@dataclass(frozen=True, slots=True)
class FollowedToken:
    """A token that is projected, and its tokenization where it is one of ours."""

    token: Token
    tokenization_id: UUID | None


def list_followed(
    session: Session, chain_id: int, *, ours: bool, after: int | None, limit: int
) -> Sequence[FollowedToken]:
    """List the tokens that are projected of a chain, in the order in which they became known.

    Parameters
    ----------
    ours
        Whether it is the platform's own chain: nothing is tokenized on another.
    after
        Number of the last token that was seen.
    """
    is_its_own = (col(Tokenization.token_address) == col(Token.address)) & literal(ours)
    rows = session.exec(
        select(Token, Tokenization.id)
        .outerjoin(Tokenization, is_its_own)
        .where(col(Token.chain_id) == chain_id, col(Token.token_no) > (after or 0))
        .order_by(col(Token.token_no))
        .limit(limit)
    ).all()
    return [FollowedToken(token, tokenization_id) for token, tokenization_id in rows]


def list_holdings(session: Session, investor_id: UUID) -> Sequence[Holding]:
    """List what the investor's wallets hold now."""
    rows = session.exec(
        select(Tokenization, Wallet.address, Balance)
        .join(Token, col(Token.address) == col(Tokenization.token_address))
        .join(Balance, col(Balance.token_no) == col(Token.token_no))
        .join(Holder, col(Holder.holder_no) == col(Balance.holder_no))
        .join(Wallet, col(Wallet.address) == col(Holder.address))
        .where(col(Wallet.investor_id) == investor_id, col(Balance.balance_units) > 0)
        .order_by(col(Tokenization.id), col(Wallet.address))
    ).all()
    return [
        Holding(tokenization, wallet, int(balance.balance_units), int(balance.frozen_units))
        for tokenization, wallet, balance in rows
    ]


def holding_in(session: Session, tokenization: Tokenization, wallet: bytes) -> Holding:
    """Return what a wallet, known to us or not, holds of one token now."""
    balance = session.exec(
        select(Balance)
        .join(Token, col(Token.token_no) == col(Balance.token_no))
        .join(Holder, col(Holder.holder_no) == col(Balance.holder_no))
        .where(col(Token.address) == tokenization.token_address, col(Holder.address) == wallet)
    ).first()
    if balance is None:
        return Holding(tokenization, wallet, 0, 0)
    return Holding(tokenization, wallet, int(balance.balance_units), int(balance.frozen_units))


def list_tokens_of(session: Session, wallet: bytes) -> Sequence[Tokenization]:
    """List the tokens that a wallet holds, or is registered for."""
    held = select(Balance.token_no).where(
        col(Balance.holder_no) == col(Holder.holder_no), col(Balance.balance_units) > 0
    )
    registered = select(RegisteredWallet.token_no).where(
        col(RegisteredWallet.holder_no) == col(Holder.holder_no)
    )
    return session.exec(
        select(Tokenization)
        .join(Token, col(Token.address) == col(Tokenization.token_address))
        .join(Holder, col(Holder.address) == wallet)
        .where(col(Token.token_no).in_(held) | col(Token.token_no).in_(registered))
        .order_by(col(Tokenization.id))
    ).all()


def is_registered(session: Session, tokenization: Tokenization, wallet: bytes) -> bool:
    """Tell whether a wallet is registered for a token, or for one that shares its storage."""
    assert tokenization.suite is not None
    storage = tokenization.suite["identity_registry_storage"]
    return (
        session.exec(
            select(RegisteredWallet.token_no)
            .join(Holder, col(Holder.holder_no) == col(RegisteredWallet.holder_no))
            .join(Token, col(Token.token_no) == col(RegisteredWallet.token_no))
            .join(Tokenization, col(Tokenization.token_address) == col(Token.address))
            .where(
                col(Holder.address) == wallet,
                col(Tokenization.suite)["identity_registry_storage"].astext == storage,
            )
        ).first()
        is not None
    )

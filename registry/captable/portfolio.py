"""What one investor holds, in all wallets and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import Session, col, select

from registry.captable.models import Balance, Holder, Token
from registry.investor.models import Wallet
from registry.tokenization.models import Tokenization


@dataclass(frozen=True, slots=True)
class Holding:
    """One wallet's fractions of one token."""

    tokenization: Tokenization
    wallet: bytes
    balance_units: int
    frozen_units: int


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

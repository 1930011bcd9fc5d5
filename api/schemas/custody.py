"""Custodial wallets over HTTP."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Literal, Self

from sqlmodel import Session

from api.schemas.common import BigInteger, Body, Read, address_of
from registry.investor.models import CustodialKey, Wallet, WalletState


class CustodialWalletCreate(Body):
    """A wallet whose key is in our custody; for one of your own see /v1/investors/{id}/wallets."""

    custodial: Literal[True]


class CustodyState(StrEnum):
    """Whether the key is made."""

    REQUESTED = "REQUESTED"
    MADE = "MADE"


class CustodialWalletRead(Read):
    """A custodial wallet; it has its address once its key is made, a moment after the request."""

    state: CustodyState
    chain_id: BigInteger
    address: str | None
    wallet_state: WalletState | None
    requested_at: datetime

    @classmethod
    def of(cls, session: Session, key: CustodialKey) -> Self:
        wallet = session.get_one(Wallet, key.wallet_id) if key.wallet_id else None
        return cls(
            state=CustodyState.MADE if wallet else CustodyState.REQUESTED,
            chain_id=key.chain_id,
            address=address_of(wallet.address) if wallet else None,
            wallet_state=wallet.state if wallet else None,
            requested_at=key.recorded_at,
        )

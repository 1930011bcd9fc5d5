"""Custodial wallets, and purchases on chain, over HTTP."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints
from sqlmodel import Session

from api.schemas.common import Address, BigInteger, Body, MoneyAmount, Read, Units, address_of
from registry.investor.models import CustodialKey, Wallet, WalletState
from registry.kernel.whole import NO_FLAG
from registry.settlement.service import Permit, SignedTrade


def _word(text: str) -> str:
    if int(text) >= 2**256:
        raise ValueError("is more than a word of the chain holds")
    return text


Word = Annotated[str, StringConstraints(pattern=r"^(0|[1-9][0-9]{0,77})$"), AfterValidator(_word)]
"""A uint256 in decimal digits."""

Epoch = Annotated[int, Field(gt=0, le=2**53), NO_FLAG]
"""Seconds since 1970, as contracts count."""

Signature = Annotated[
    str, StringConstraints(pattern=r"^0x([0-9a-fA-F]{2})+$", max_length=2 + 2 * 8192)
]
Half = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{64}$")]


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


class PermitBody(Body):
    """An ERC-2612 permit for the Settlement contract, over the price."""

    deadline: Epoch
    v: Annotated[int, Field(ge=27, le=28), NO_FLAG]
    r: Half
    s: Half


class PurchaseConfirm(Body):
    """The terms that the wrapper has signed, and that you agree to: your order, at its price.

    Without `buyer_signature` the key of your custodial wallet signs them, and the permit; else
    your own wallet has signed both.
    """

    seller: Address
    buyer: Address
    units: Units
    price: MoneyAmount
    seller_nonce: Word
    buyer_nonce: Word
    deadline: Epoch
    seller_signature: Signature
    buyer_signature: Signature | None = None
    permit: PermitBody | None = None

    def trade(self) -> SignedTrade:
        return SignedTrade(
            seller=_raw(self.seller),
            buyer=_raw(self.buyer),
            units=int(self.units),
            price_paisa=self.price.paisa("/price/amount"),
            seller_nonce=int(self.seller_nonce),
            buyer_nonce=int(self.buyer_nonce),
            deadline=self.deadline,
            seller_signature=_raw(self.seller_signature),
            buyer_signature=_raw(self.buyer_signature) if self.buyer_signature else None,
            permit=_permit(self.permit) if self.permit else None,
        )


def _permit(body: PermitBody) -> Permit:
    return Permit(body.deadline, body.v, _raw(body.r), _raw(body.s))


def _raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))

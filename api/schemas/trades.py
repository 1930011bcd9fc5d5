"""Sales of what the wrapper kept, and the trades of their orders, over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StringConstraints
from sqlmodel import Session

from api.schemas.common import (
    Address,
    BigInteger,
    Body,
    MoneyAmount,
    Read,
    Units,
    address_of,
    bytes_of_hex,
)
from api.schemas.offerings import SaleTerms
from chain.trades import Market, market_of, typed_data_of
from registry.kernel.whole import NO_FLAG
from registry.offering.models import Order, OrderState
from registry.offering.terms import USUAL_WAITING_LIST_HOURS, OfferTerms
from registry.settlement.service import Agreed, Permit
from registry.settlement.trades import terms_of

USUAL_PAYMENT_HOURS = 24
MAX_TRADE_HOURS = 14 * 24
"""So long at most the seller's signature binds it."""

Epoch = Annotated[int, Field(gt=0, le=2**53), NO_FLAG]
"""Seconds since 1970, as contracts count."""

Signature = Annotated[
    str, StringConstraints(pattern=r"^0x([0-9a-fA-F]{2})+$", max_length=2 + 2 * 8192)
]
Half = Annotated[str, StringConstraints(pattern=r"^0x[0-9a-fA-F]{64}$")]


class SecondaryOfferingCreate(SaleTerms):
    """The terms on which the wrapper sells what it holds of a live token.

    `price` is of one fraction. An order is the buyer's for `payment_hours`: within them the seller
    signs it and the buyer pays. The rest is as at the first sale.
    """

    price: MoneyAmount
    payment_hours: Annotated[int, Field(gt=0, le=MAX_TRADE_HOURS), NO_FLAG] = USUAL_PAYMENT_HOURS
    waiting_list_hours: Annotated[int, Field(ge=0, le=MAX_TRADE_HOURS), NO_FLAG] = (
        USUAL_WAITING_LIST_HOURS
    )

    def terms(self) -> OfferTerms:
        return OfferTerms(
            **self.said(),
            payment_hours=self.payment_hours,
            waiting_list_hours=self.waiting_list_hours,
        )


class TradeRead(Read):
    """The trade of an order, as its buyer and its seller sign it.

    `typed_data` (EIP-712) is what both sign: hand it to the wallet as it is. `permit_typed_data`
    (ERC-2612) is what a buyer signs besides, who has not given the Settlement an allowance; the
    seller is not shown it. `seller_signature` is null until the seller has signed. It can be
    settled until `deadline`.
    """

    order_id: UUID
    state: OrderState
    seller: Address
    buyer: Address
    units: BigInteger
    price: MoneyAmount
    deadline: datetime
    seller_signature: str | None
    typed_data: dict[str, Any]
    permit_typed_data: dict[str, Any] | None

    @classmethod
    def read(cls, session: Session, chain_id: int, row: Order) -> Self:
        """Show a trade without its permit, for which the chain is asked."""
        return cls.reader(session, chain_id)(row)

    @classmethod
    def reader(cls, session: Session, chain_id: int) -> Callable[[Order], Self]:
        """Give what shows trades, and asks for their contracts once."""
        market = cache(lambda: market_of(session, chain_id))
        return lambda row: cls._of(session, market(), row)

    @classmethod
    def _of(cls, session: Session, market: Market, row: Order) -> Self:
        terms, signature = terms_of(session, row), row.seller_signature
        assert row.pay_until is not None, "a trade has an end"
        return cls(
            order_id=row.id,
            state=row.state,
            seller=address_of(terms.seller),
            buyer=address_of(terms.buyer),
            units=str(terms.units),
            price=MoneyAmount.of(terms.price_paisa),
            deadline=row.pay_until,
            seller_signature=f"0x{signature.hex()}" if signature else None,
            typed_data=typed_data_of(market, terms),
            permit_typed_data=None,
        )


class TradeSign(Body):
    """The seller's signature of the trade's `typed_data`: by its key, or by its contract."""

    seller_signature: Signature

    @property
    def raw(self) -> bytes:
        return bytes_of_hex(self.seller_signature)


class PermitBody(Body):
    """An ERC-2612 permit for the Settlement contract, over the price."""

    deadline: Epoch
    v: Annotated[int, Field(ge=27, le=28), NO_FLAG]
    r: Half
    s: Half

    def permit(self) -> Permit:
        return Permit(self.deadline, self.v, bytes_of_hex(self.r), bytes_of_hex(self.s))


class PurchaseConfirm(Body):
    """What you agree to: so many fractions for so much, all together.

    Without `buyer_signature` the key of your custodial wallet signs the trade, and the permit; else
    your own wallet has signed both.
    """

    units: Units
    price: MoneyAmount
    buyer_signature: Signature | None = None
    permit: PermitBody | None = None

    def agreed(self) -> Agreed:
        return Agreed(
            units=int(self.units),
            price_paisa=self.price.paisa("/price/amount"),
            signature=bytes_of_hex(self.buyer_signature) if self.buyer_signature else None,
            permit=self.permit.permit() if self.permit else None,
        )

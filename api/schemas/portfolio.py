"""The portfolio over HTTP: holdings with what they are worth, exact to the paisa."""

from __future__ import annotations

from datetime import date, datetime
from typing import Self
from uuid import UUID

from api.schemas.common import (
    AsOfBlockRead,
    BigInteger,
    ExactFraction,
    MoneyAmount,
    Read,
    address_of,
    exact,
)
from registry.captable.portfolio import Holding
from registry.kernel.messages import text_of
from registry.offering.models import OrderState
from registry.portfolio.holdings import Pending, Portfolio, Position
from registry.tokenization.models import Tokenization, TokenizationState
from registry.valuation.models import ValuationState


class WalletPositionRead(Read):
    """What one of your wallets holds of a token.

    A wallet that is frozen as a whole (`wallet_frozen`) moves nothing, whatever is frozen of it.
    """

    wallet: str
    balance_units: BigInteger
    frozen_units: BigInteger
    wallet_frozen: bool

    @classmethod
    def of(cls, row: Holding) -> Self:
        return cls(
            wallet=address_of(row.wallet),
            balance_units=row.balance_units,
            frozen_units=row.frozen_units,
            wallet_frozen=row.is_frozen,
        )


class PendingRead(Read):
    """Your orders of one state whose fractions are on their way."""

    state: OrderState
    message: str
    orders: int
    units: BigInteger
    amount: MoneyAmount

    @classmethod
    def of(cls, row: Pending) -> Self:
        return cls(
            state=row.state,
            message=text_of("states", f"order.{row.state}"),
            orders=row.orders,
            units=row.units,
            amount=MoneyAmount.of(row.amount_paisa),
        )


class ValuationBasisRead(Read):
    """The valuation behind a value: of the whole asset, of a day; STALE once it is too old."""

    id: UUID
    amount: MoneyAmount
    basis_date: date
    method: str
    state: ValuationState


class LastSaleRead(Read):
    """The last completed sale of a token, by anybody, at this price of a fraction."""

    price: MoneyAmount
    sold_at: datetime


class HoldingRead(Read):
    """What you hold of one token, in all your wallets, and what is on its way.

    Parameters
    ----------
    share
        Of the token: numerator and denominator.
    asset_share
        Of the asset's economic worth.
    value
        By `valuation`; null where there is none.
    sale_value
        By `last_sale`; null where there is none.
    cost
        What was paid for `bought_units`; what came by a transfer has no price here.
    caught_up_to
        The block up to which the token is read, where that is not the newest yet: what is held is
        told as of there.
    refusal
        Why the token is not read any more: what is held is not known.
    """

    token_id: UUID
    symbol: str
    name: str
    asset_id: UUID
    state: TokenizationState
    balance_units: BigInteger
    frozen_units: BigInteger
    share: ExactFraction
    asset_share: ExactFraction
    pending_units: BigInteger
    pending: list[PendingRead]
    value: MoneyAmount | None
    valuation: ValuationBasisRead | None
    sale_value: MoneyAmount | None
    last_sale: LastSaleRead | None
    issue_value: MoneyAmount
    bought_units: BigInteger
    cost: MoneyAmount
    caught_up_to: int | None
    refusal: str | None
    wallets: list[WalletPositionRead]

    @classmethod
    def of(cls, row: Position) -> Self:
        token, basis, sale = row.tokenization, row.valuation, row.last_sale
        return cls(
            token_id=token.id,
            symbol=token.symbol,
            name=token.name,
            asset_id=token.asset_id,
            state=token.state,
            balance_units=row.units,
            frozen_units=row.frozen_units,
            share=exact(row.share),
            asset_share=exact(row.asset_share),
            pending_units=sum(item.units for item in row.pending),
            pending=[PendingRead.of(item) for item in row.pending],
            value=MoneyAmount.of_known(row.value_paisa),
            valuation=ValuationBasisRead(
                id=basis.id,
                amount=MoneyAmount.of(basis.amount_paisa),
                basis_date=basis.basis_date,
                method=basis.method,
                state=basis.state,
            )
            if basis
            else None,
            sale_value=MoneyAmount.of_known(row.sale_value_paisa),
            last_sale=LastSaleRead(price=MoneyAmount.of(sale.price_paisa), sold_at=sale.sold_at)
            if sale
            else None,
            issue_value=MoneyAmount.of(row.issue_value_paisa),
            bought_units=row.bought_units,
            cost=MoneyAmount.of(row.cost_paisa),
            caught_up_to=row.caught_up_to,
            refusal=row.refusal,
            wallets=[WalletPositionRead.of(holding) for holding in row.holdings],
        )


class PortfolioTotalsRead(Read):
    """Sums over the holdings; `unvalued_holdings` have no valuation and are not in `value`.

    `uncertain_holdings` are not known of the newest block, so neither are the sums.
    """

    value: MoneyAmount
    unvalued_holdings: int
    uncertain_holdings: int
    cost: MoneyAmount
    pending: MoneyAmount


class ReadAgainRead(Read):
    """A token that is being read again, and stands at the block `caught_up_to`."""

    token_id: UUID
    symbol: str
    name: str
    caught_up_to: int

    @classmethod
    def of(cls, token: Tokenization, caught_up_to: int) -> Self:
        return cls(
            token_id=token.id, symbol=token.symbol, name=token.name, caught_up_to=caught_up_to
        )


class PortfolioRead(Read):
    """What you hold at a block; `as_of_block` is null until the chain is read.

    Of the tokens in `read_again` you may hold some, too: it is not known yet.
    """

    as_of_block: AsOfBlockRead | None
    totals: PortfolioTotalsRead
    holdings: list[HoldingRead]
    read_again: list[ReadAgainRead]

    @classmethod
    def of(cls, row: Portfolio, confirmations_needed: int) -> Self:
        return cls(
            as_of_block=AsOfBlockRead.of(row.block, confirmations_needed) if row.block else None,
            totals=PortfolioTotalsRead(
                value=MoneyAmount.of(row.value_paisa),
                unvalued_holdings=row.unvalued,
                uncertain_holdings=row.uncertain,
                cost=MoneyAmount.of(row.cost_paisa),
                pending=MoneyAmount.of(row.pending_paisa),
            ),
            holdings=[HoldingRead.of(position) for position in row.positions],
            read_again=[ReadAgainRead.of(token, number) for token, number in row.read_again],
        )

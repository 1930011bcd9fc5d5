"""What one investor holds in all their wallets: how much, how frozen, what is on its way, worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from uuid import UUID

from sqlalchemy import bindparam, func, true
from sqlalchemy import select as sql_select
from sqlmodel import Session, col, select

from registry.captable.blocks import AsOfBlock
from registry.captable.models import Token
from registry.captable.portfolio import Holding, list_holdings, list_read_again
from registry.captable.service import find_block_at
from registry.kernel.reading import Composed
from registry.kernel.rows import among, among_named, among_words
from registry.offering.models import RESERVING, Offering, Order, OrderState
from registry.tokenization.models import Tokenization
from registry.valuation.models import Valuation, ValuationState


@dataclass(frozen=True, slots=True)
class Pending:
    """Orders of one state: how many, of how many fractions, for how much."""

    state: OrderState
    orders: int
    units: int
    amount_paisa: int


@dataclass(frozen=True, slots=True)
class LastSale:
    """The last sale of a token that was completed, by anybody.

    Parameters
    ----------
    price_paisa
        Of one fraction.
    """

    price_paisa: int
    sold_at: datetime


@dataclass(slots=True)
class Position:
    """Everything about one token that somebody holds or has ordered.

    Parameters
    ----------
    valuation
        The one accepted last, of the whole asset, even where it is stale by now.
    bought_units, cost_paisa
        Of the orders that were completed; what came by a transfer has no price here.
    caught_up_to, refusal
        Those of the token: where one is not None, what is held is not known of the newest block.
    """

    tokenization: Tokenization
    holdings: list[Holding] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    valuation: Valuation | None = None
    last_sale: LastSale | None = None
    bought_units: int = 0
    cost_paisa: int = 0
    caught_up_to: int | None = None
    refusal: str | None = None

    @property
    def is_uncertain(self) -> bool:
        return self.caught_up_to is not None or self.refusal is not None

    @property
    def units(self) -> int:
        return sum(holding.balance_units for holding in self.holdings)

    @property
    def frozen_units(self) -> int:
        return sum(holding.frozen_units for holding in self.holdings)

    @property
    def share(self) -> Fraction:
        """Of the token: of all its fractions."""
        return Fraction(self.units, self.tokenization.declared_fractions)

    @property
    def asset_share(self) -> Fraction:
        """Of the asset's economic worth, of which the token may be a part."""
        return self.share * self.tokenization.economic_share

    @property
    def value_paisa(self) -> int | None:
        """By the valuation; what is less than a paisa is left out, never rounded up."""
        if self.valuation is None:
            return None
        exact = self.valuation.amount_paisa * self.asset_share
        return exact.numerator // exact.denominator

    @property
    def sale_value_paisa(self) -> int | None:
        """By the price of the last sale."""
        return None if self.last_sale is None else self.units * self.last_sale.price_paisa

    @property
    def issue_value_paisa(self) -> int:
        return self.units * self.tokenization.price_paisa


@dataclass(frozen=True, slots=True)
class Portfolio:
    """All of it, at one block.

    Parameters
    ----------
    block
        None where the chain has not been read yet, so that nobody holds anything.
    read_again
        Tokens of no position that are being read again, with the block up to which each is: some
        of them may be held, too.
    """

    block: AsOfBlock | None
    positions: Sequence[Position]
    read_again: Sequence[tuple[Tokenization, int]] = ()

    @property
    def value_paisa(self) -> int:
        """Of the positions that have a valuation."""
        return sum(position.value_paisa or 0 for position in self.positions)

    @property
    def unvalued(self) -> int:
        """How many held positions have no valuation."""
        return sum(1 for each in self.positions if each.units and each.valuation is None)

    @property
    def uncertain(self) -> int:
        """How many positions are not known of the newest block."""
        return sum(1 for each in self.positions if each.is_uncertain)

    @property
    def cost_paisa(self) -> int:
        return sum(position.cost_paisa for position in self.positions)

    @property
    def pending_paisa(self) -> int:
        return sum(item.amount_paisa for each in self.positions for item in each.pending)


def read_portfolio(session: Session, investor_id: UUID, chain_id: int) -> Portfolio:
    """Read what an investor holds, and what is on its way, in one snapshot.

    Parameters
    ----------
    chain_id
        The chain on which the platform stands.
    """
    block = find_block_at(session, chain_id, None)
    positions: dict[UUID, Position] = {}
    for holding in list_holdings(session, investor_id):
        made = positions.setdefault(holding.tokenization.id, Position(holding.tokenization))
        made.holdings.append(holding)
        made.caught_up_to, made.refusal = holding.caught_up_to, holding.refusal
    _add_orders(session, investor_id, positions)
    _add_worth(session, positions)
    again = [row for row in list_read_again(session, chain_id) if row[0].id not in positions]
    return Portfolio(block, [positions[key] for key in sorted(positions)], again)


def _add_orders(session: Session, investor_id: UUID, positions: dict[UUID, Position]) -> None:
    rows = _ORDERED.all(session, investor_id=investor_id)
    missing = {row[0] for row in rows} - positions.keys()
    if missing:
        query = (
            select(Tokenization, Token.caught_up_to, Token.refusal)
            .outerjoin(Token, col(Token.address) == col(Tokenization.token_address))
            .where(among(col(Tokenization.id), sorted(missing)))
        )
        positions |= {
            token.id: Position(token, caught_up_to=caught_up_to, refusal=refusal)
            for token, caught_up_to, refusal in session.exec(query)
        }
    order = list(OrderState)
    for token_id, state, count, units, paisa in sorted(rows, key=lambda row: order.index(row[1])):
        position = positions[token_id]
        if state == OrderState.SETTLED:
            position.bought_units, position.cost_paisa = int(units), int(paisa)
        else:
            position.pending.append(Pending(state, count, int(units), int(paisa)))


_ORDERED = Composed(
    sql_select(
        col(Offering.tokenization_id),
        col(Order.state),
        func.count(),
        func.sum(Order.units),
        func.sum(Order.amount_paisa),
    )
    .join(Offering, col(Offering.id) == col(Order.offering_id))
    .where(
        col(Order.investor_id) == bindparam("investor_id"),
        among_words(col(Order.state), sorted(RESERVING)),
    )
    .group_by(col(Offering.tokenization_id), col(Order.state))
)
_LAST_SALE = (
    sql_select(col(Offering.price_paisa), col(Offering.last_sold_at))
    .where(
        col(Offering.tokenization_id) == col(Tokenization.id),
        col(Offering.last_sold_at).is_not(None),
    )
    .order_by(col(Offering.last_sold_at).desc())
    .limit(1)
    .correlate(Tokenization)
    .lateral("last_sale")
)
_WORTH = Composed(
    sql_select(col(Tokenization.id), Valuation, _LAST_SALE.c.price_paisa, _LAST_SALE.c.last_sold_at)
    .select_from(Tokenization)
    .outerjoin(
        Valuation,
        (col(Valuation.asset_id) == col(Tokenization.asset_id))
        & among_words(col(Valuation.state), (ValuationState.ACCEPTED, ValuationState.STALE)),
    )
    .outerjoin(_LAST_SALE, true())
    .where(among_named(col(Tokenization.id), "token_ids"))
)


def _add_worth(session: Session, positions: Mapping[UUID, Position]) -> None:
    if not positions:
        return
    for token_id, valuation, paisa, moment in _WORTH.all(session, token_ids=list(positions)):
        positions[token_id].valuation = valuation
        if moment is not None:
            positions[token_id].last_sale = LastSale(paisa, moment)

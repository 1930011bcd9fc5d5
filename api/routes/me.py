"""/v1/me: what the phone shows."""

from __future__ import annotations

from uuid import UUID

from pydantic import BaseModel

from api.deps import ActorDep, ReadSessionDep
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.common import BigInteger, MoneyAmount, Page, address_of
from api.schemas.investors import InvestorRead
from api.schemas.tokenizations import OrderRead
from registry.captable import portfolio
from registry.captable.portfolio import Holding
from registry.investor import service as investors
from registry.kernel.actor import Actor
from registry.kernel.errors import NotFound
from registry.offering import orders

router = resource_router("me")


class MeRead(BaseModel):
    """Who you are to us."""

    subject: str
    roles: list[str]
    investor: InvestorRead | None


class HoldingRead(BaseModel):
    """Fractions of one asset in one of your wallets, at the price of issue."""

    token_id: UUID
    symbol: str
    asset_id: UUID
    wallet: str
    balance_units: BigInteger
    frozen_units: BigInteger
    issue_value: MoneyAmount

    @classmethod
    def of(cls, row: Holding) -> HoldingRead:
        return cls(
            token_id=row.tokenization.id,
            symbol=row.tokenization.symbol,
            asset_id=row.tokenization.asset_id,
            wallet=address_of(row.wallet),
            balance_units=row.balance_units,
            frozen_units=row.frozen_units,
            issue_value=MoneyAmount.of(row.balance_units * row.tokenization.price_paisa),
        )


@router.get("/me")
def get_me(session: ReadSessionDep, actor: ActorDep) -> MeRead:
    """See who you are, and how far your KYC is."""
    investor = investors.find_investor_of(session, actor.subject)
    return MeRead(
        subject=actor.subject,
        roles=sorted(actor.roles),
        investor=InvestorRead.of(session, investor) if investor else None,
    )


@router.get("/me/portfolio")
def get_my_portfolio(session: ReadSessionDep, actor: ActorDep) -> list[HoldingRead]:
    """See what you hold, as the chain tells it."""
    investor_id = _my_id(session, actor)
    return [HoldingRead.of(row) for row in portfolio.list_holdings(session, investor_id)]


@router.get("/me/orders")
def list_my_orders(session: ReadSessionDep, actor: ActorDep, paging: PagingDep) -> Page[OrderRead]:
    """See your orders."""
    rows = orders.list_orders(
        session, investor_id=_my_id(session, actor), after=paging.after_id, limit=paging.fetch
    )
    return paging.page(rows, lambda row: str(row.id), OrderRead.reader(session, rows))


def _my_id(session: ReadSessionDep, actor: Actor) -> UUID:
    investor = investors.find_investor_of(session, actor.subject)
    if investor is None:
        raise NotFound("investor", "of yours")
    return investor.id

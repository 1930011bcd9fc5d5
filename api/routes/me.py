"""/v1/me: what the phone shows."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel

from api.deps import ActorDep, FinalityDep, ReadSessionDep, ServicesDep
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.common import Page
from api.schemas.investors import InvestorRead
from api.schemas.offerings import OrderRead, WaitingEntryRead
from api.schemas.portfolio import PortfolioRead
from registry.investor import service as investors
from registry.offering import orders, waiting
from registry.offering.models import OrderState
from registry.portfolio import holdings

router = resource_router("me")

StatesParam = Annotated[
    list[OrderState] | None, Query(alias="state", description="Any of these; may be repeated")
]


class MeRead(BaseModel):
    """Who you are to us."""

    subject: str
    roles: list[str]
    investor: InvestorRead | None


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
def get_my_portfolio(
    needed: FinalityDep, session: ReadSessionDep, services: ServicesDep, actor: ActorDep
) -> PortfolioRead:
    """See what you hold and what it is worth, as the chain tells it at a block."""
    mine = investors.get_investor_of(session, actor.subject)
    found = holdings.read_portfolio(session, mine.id, services.settings.chain_id)
    return PortfolioRead.of(found, needed)


@router.get("/me/orders")
def list_my_orders(
    session: ReadSessionDep,
    actor: ActorDep,
    paging: PagingDep,
    states: StatesParam = None,
) -> Page[OrderRead]:
    """See your orders, oldest first."""
    mine = investors.get_investor_of(session, actor.subject)
    rows = orders.list_orders(
        session,
        investor_id=mine.id,
        states=states or (),
        after=paging.after_id,
        limit=paging.fetch,
    )
    return paging.page(rows, lambda row: str(row.id), OrderRead.reader(session, rows))


@router.get("/me/waiting_list")
def list_my_waiting_entries(
    session: ReadSessionDep, actor: ActorDep, paging: PagingDep
) -> Page[WaitingEntryRead]:
    """See your places on waiting lists."""
    mine = investors.get_investor_of(session, actor.subject)
    rows = waiting.list_entries(
        session, investor_id=mine.id, after=paging.after_id, limit=paging.fetch
    )
    return paging.page(rows, lambda row: str(row.id), WaitingEntryRead.reader(session, rows))

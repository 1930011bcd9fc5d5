"""/v1/me/statements: what the caller had, what moved, and what they have."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response

from api.deps import ActorDep, FinalityDep, ReadSessionDep, Services, ServicesDep
from api.routes.router import resource_router
from api.schemas.common import address_of
from api.schemas.statements import AccountStatementRead, StatementPeriodRead
from registry.investor import service as investors
from registry.kernel.actor import Actor
from registry.kernel.db import ReadSession
from registry.kernel.messages import spoken
from registry.portfolio.period import months_since, read_period
from registry.portfolio.statement import Statement, make_statement
from registry.portfolio.statement_csv import statement_csv
from registry.portfolio.statement_pdf import statement_pdf

router = resource_router("statements")

PeriodPath = Annotated[
    str, Path(description="A month, 2026-11, or days: 2026-01-01--2026-03-31", max_length=64)
]


@router.get("/me/statements")
def list_my_statements(session: ReadSessionDep, actor: ActorDep) -> list[StatementPeriodRead]:
    """List the months since you enrolled, the newest first."""
    mine = investors.get_investor_of(session, actor.subject)
    return [StatementPeriodRead.of(month) for month in months_since(mine.recorded_at)]


@router.get("/me/statements/{period}")
def get_my_statement(
    period: PeriodPath,
    needed: FinalityDep,
    session: ReadSessionDep,
    services: ServicesDep,
    actor: ActorDep,
) -> AccountStatementRead:
    """Read the statement of a month, or of days."""
    return AccountStatementRead.of(_made(session, services, actor, period), needed)


@router.get("/me/statements/{period}/csv", response_class=Response)
def get_my_statement_csv(
    period: PeriodPath, session: ReadSessionDep, services: ServicesDep, actor: ActorDep
) -> Response:
    """Take the statement as CSV, for machines: nothing in it is translated."""
    made = _made(session, services, actor, period)
    return _file(statement_csv(made, address_of), made, "text/csv; charset=utf-8", "csv")


@router.get("/me/statements/{period}/pdf", response_class=Response)
def get_my_statement_pdf(
    period: PeriodPath, session: ReadSessionDep, services: ServicesDep, actor: ActorDep
) -> Response:
    """Take the statement as PDF, in English or Urdu as Accept-Language says."""
    made = _made(session, services, actor, period)
    return _file(statement_pdf(made, spoken()), made, "application/pdf", "pdf")


def _made(session: ReadSession, services: Services, actor: Actor, period: str) -> Statement:
    mine = investors.get_investor_of(session, actor.subject)
    return make_statement(session, mine, read_period(period), services.settings.chain_id)


def _file(content: bytes, made: Statement, media_type: str, suffix: str) -> Response:
    name = f"statement_{made.period.first}_{made.period.last}.{suffix}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    return Response(content, media_type=media_type, headers=headers)

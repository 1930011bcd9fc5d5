"""R-21: what energy sites and mines have produced, month by month."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field
from sqlalchemy import text
from sqlmodel import Session

from registry.report.report import Column, Kind, Question, Report, Row
from registry.report.report import Parameters as Asked
from registry.report.subjects import as_recorded


class Parameters(Asked):
    """Which sites, and which month."""

    site: Annotated[str | None, Field(max_length=36, description="Code of the asset")] = None
    month: Annotated[date | None, Field(description="The first day of the month")] = None


COLUMNS = (
    Column("reading", Kind.ID),
    Column("site"),
    Column("month", Kind.DATE),
    Column("state"),
    Column("energy_mwh", Kind.DECIMAL),
    Column("hashrate_phs", Kind.DECIMAL),
    Column("uptime_percent", Kind.DECIMAL),
    Column("mined_btc", Kind.DECIMAL),
    Column("payout", Kind.MONEY),
    Column("revenue_share", Kind.MONEY),
    Column("curtailment_mwh", Kind.DECIMAL),
    Column("statement_sha256", Kind.HASH),
    Column("maker"),
    Column("checker"),
)
_SATS = Decimal(100_000_000)

# What counts, and what waits; a reading that was superseded or refused is history.
_READINGS = text("""
SELECT r.id, a.code, r.month, r.state, r.energy_mwh, r.hashrate_phs, r.uptime_percent,
  r.mined_sats, r.payout_paisa, r.holders_paisa, r.curtailed_mwh, r.statement_sha256, r.maker,
  r.checker
FROM energy_reading r JOIN asset a ON a.id = r.asset_id
WHERE r.id > :after AND r.state IN ('REPORTED', 'CONFIRMED')
  AND (CAST(:site AS text) IS NULL OR a.code = :site)
  AND (CAST(:month AS date) IS NULL OR r.month = :month)
ORDER BY r.id LIMIT :limit
""")


def _rows(session: Session, question: Question[Parameters]) -> Iterator[Row]:
    asked = {
        "after": question.after[0] if question.after else UUID(int=0),
        "site": question.parameters.site,
        "month": question.parameters.month,
        "limit": question.fetch,
    }
    with as_recorded(session, question):
        found = session.execute(_READINGS, asked).all()
    for row in found:
        btc = None if row.mined_sats is None else Decimal(row.mined_sats) / _SATS
        values = tuple(row)
        yield Row(
            (str(row.id),), (*values[:7], btc, *values[8:11], bytes(row.statement_sha256),
                             *values[12:]),
        )  # fmt: skip


PRODUCTION = Report(
    code="R-21",
    title="Mining and energy production",
    title_ur="مائننگ اور توانائی کی پیداوار",
    parameters=Parameters,
    columns=COLUMNS,
    rows=_rows,
)

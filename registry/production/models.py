"""What a site has produced in a month, and what a count of stored goods found."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Index, Numeric, text
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, binary, enumeration, instant


class ReadingState(StrEnum):
    REPORTED = "REPORTED"
    CONFIRMED = "CONFIRMED"
    REJECTED = "REJECTED"
    SUPERSEDED = "SUPERSEDED"


class EnergyReading(Record, table=True):
    """The production statement of one site and month; a correction is another one.

    Parameters
    ----------
    month
        Its first day.
    energy_mwh, curtailed_mwh
        Generated or drawn, and what was kept back by order of the grid.
    hashrate_phs
        On average; None of a site that only generates.
    uptime_percent
        Of the hours of the month.
    mined_sats
        Bitcoin paid out by the pool, in satoshi; None likewise.
    payout_paisa, holders_paisa
        What was paid for it, and the share of it that is the holders'.
    statement_sha256
        Of the operator's own statement.
    """

    __tablename__ = "energy_reading"
    __table_args__ = (
        CheckConstraint("extract(day FROM month) = 1", name="ck_energy_reading_month"),
        CheckConstraint(
            "energy_mwh >= 0 AND curtailed_mwh >= 0 AND hashrate_phs >= 0"
            " AND uptime_percent BETWEEN 0 AND 100 AND mined_sats >= 0 AND payout_paisa >= 0"
            " AND holders_paisa BETWEEN 0 AND payout_paisa",
            name="ck_energy_reading_figures",
        ),
        CheckConstraint(
            "acting_person(checker) <> acting_person(maker)", name="ck_energy_reading_four_eyes"
        ),
        Index(
            "uq_energy_reading_reported",
            "asset_id",
            "month",
            unique=True,
            postgresql_where=text("state = 'REPORTED'"),
        ),
        Index(
            "uq_energy_reading_confirmed",
            "asset_id",
            "month",
            unique=True,
            postgresql_where=text("state = 'CONFIRMED'"),
        ),
    )

    asset_id: UUID = Field(foreign_key="asset.id")
    month: date
    energy_mwh: Decimal = Field(sa_type=Numeric(20, 6))
    curtailed_mwh: Decimal = Field(sa_type=Numeric(20, 6))
    hashrate_phs: Decimal | None = Field(default=None, sa_type=Numeric(20, 6))
    uptime_percent: Decimal = Field(sa_type=Numeric(7, 4))
    mined_sats: int | None = bigint(default=None)
    payout_paisa: int = bigint()
    holders_paisa: int = bigint()
    statement_sha256: bytes = binary()
    state: ReadingState = enumeration(ReadingState, default=ReadingState.REPORTED)
    maker: str
    checker: str | None = None
    decided_at: AwareDatetime | None = instant()
    reason: str | None = None


class StockAudit(Record, table=True):
    """A count of the goods of one warehouse receipt; only ever added.

    Parameters
    ----------
    counted_kg, expected_kg
        What was found, and what the receipt had in store on the day that it was recorded.
    report_sha256
        Of the auditor's report.
    """

    __tablename__ = "stock_audit"
    __table_args__ = (
        CheckConstraint("counted_kg >= 0 AND expected_kg >= 0", name="ck_stock_audit_kg"),
    )

    receipt_id: UUID = Field(foreign_key="warehouse_receipt.id", index=True)
    audited_on: date
    counted_kg: Decimal = Field(sa_type=Numeric(20, 6))
    expected_kg: Decimal = Field(sa_type=Numeric(20, 6))
    auditor: str
    report_sha256: bytes = binary()
    maker: str

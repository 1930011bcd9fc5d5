"""Readings of energy sites and counts of stored goods over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from api.schemas.common import BigInteger, Body, MoneyAmount, Read, Sha256Hex, ShortText, Units
from api.schemas.free_text import FreeText
from registry.production.models import EnergyReading, ReadingState, StockAudit
from registry.production.readings import NewReading
from registry.production.stock import NewAudit

Quantity = Annotated[Decimal, Field(ge=0, max_digits=20, decimal_places=6)]
Percent = Annotated[Decimal, Field(ge=0, le=100, decimal_places=4)]


class ReadingCreate(Body):
    """A month of a site as its operator states it; `holders_share` is a part of `payout`."""

    month: date
    energy_mwh: Quantity
    curtailed_mwh: Quantity
    uptime_percent: Percent
    payout: MoneyAmount
    holders_share: MoneyAmount
    statement_sha256: Sha256Hex
    hashrate_phs: Quantity | None = None
    mined_sats: Units | None = None

    def new(self) -> NewReading:
        return NewReading(
            month=self.month,
            energy_mwh=self.energy_mwh,
            curtailed_mwh=self.curtailed_mwh,
            uptime_percent=self.uptime_percent,
            payout_paisa=self.payout.paisa("/payout/amount"),
            holders_paisa=self.holders_share.paisa("/holders_share/amount"),
            statement_sha256=bytes.fromhex(self.statement_sha256),
            hashrate_phs=self.hashrate_phs,
            mined_sats=int(self.mined_sats) if self.mined_sats is not None else None,
        )


class ReadingRead(Read):
    """A month of a site, and whether it is confirmed."""

    id: UUID
    recorded_at: datetime
    asset_id: UUID
    month: date
    energy_mwh: Decimal
    curtailed_mwh: Decimal
    hashrate_phs: Decimal | None
    uptime_percent: Decimal
    mined_sats: BigInteger | None
    payout: MoneyAmount
    holders_share: MoneyAmount
    statement_sha256: str
    state: ReadingState
    maker: str
    checker: str | None
    decided_at: datetime | None
    reason: FreeText | None

    @classmethod
    def of(cls, row: EnergyReading) -> Self:
        said = row.model_dump(exclude={"payout_paisa", "holders_paisa", "statement_sha256"})
        return cls(
            **said,
            payout=MoneyAmount.of(row.payout_paisa),
            holders_share=MoneyAmount.of(row.holders_paisa),
            statement_sha256=row.statement_sha256.hex(),
        )


class AuditCreate(Body):
    """A count of the goods of a receipt, as the auditor reports it."""

    audited_on: date
    counted_kg: Quantity
    auditor: ShortText
    report_sha256: Sha256Hex

    def new(self) -> NewAudit:
        said = self.model_dump() | {"report_sha256": bytes.fromhex(self.report_sha256)}
        return NewAudit(**said)


class AuditRead(Read):
    """A count, beside what the receipt had in store."""

    id: UUID
    recorded_at: datetime
    receipt_id: UUID
    audited_on: date
    counted_kg: Decimal
    expected_kg: Decimal
    auditor: FreeText
    report_sha256: str
    maker: str

    @classmethod
    def of(cls, row: StockAudit) -> Self:
        said = row.model_dump(exclude={"report_sha256"})
        return cls(**said, report_sha256=row.report_sha256.hex())

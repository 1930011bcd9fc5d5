"""Warehouse receipts (EWR): goods in an accredited warehouse, and who may dispose of them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Numeric, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, document, enumeration


class ReceiptState(StrEnum):
    DEPOSITED = "DEPOSITED"
    ASSAYED = "ASSAYED"
    ISSUED = "ISSUED"
    PLEDGED = "PLEDGED"
    TOKEN_LOCKED = "TOKEN_LOCKED"  # noqa: S105 - a state, no password
    INVOKED = "INVOKED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    DELIVERED = "DELIVERED"
    LIQUIDATED = "LIQUIDATED"


ENDED = (ReceiptState.CANCELLED, ReceiptState.DELIVERED, ReceiptState.LIQUIDATED)


def kilograms(**more: Any) -> Any:
    """Give a column of kilograms, to six places."""
    return Field(sa_type=Numeric(24, 6), **more)


class WarehouseReceipt(Record, table=True):
    """One receipt of goods that stand in one asset's dossier.

    What is pledged, tokenized, lost and delivered is never more than what was received (EWR-01).

    Parameters
    ----------
    key
        The natural key ``EWR|issuer|number``; one of those that the asset claims.
    offer
        An act that waits for the other side: a grading, a pledge.
    """

    __tablename__ = "warehouse_receipt"
    __table_args__ = (
        UniqueConstraint("key", name="uq_warehouse_receipt_key"),
        CheckConstraint(
            "qty_kg > 0 AND pledged_kg >= 0 AND tokenized_kg >= 0 AND loss_kg >= 0"
            " AND delivered_kg >= 0"
            " AND pledged_kg + tokenized_kg + loss_kg + delivered_kg <= qty_kg",
            name="ck_warehouse_receipt_covered",
        ),
        CheckConstraint(
            "pledgee_id IS NOT NULL OR state NOT IN ('PLEDGED', 'INVOKED')",
            name="ck_warehouse_receipt_pledgee",
        ),
    )

    asset_id: UUID = Field(foreign_key="asset.id", index=True)
    parent_id: UUID | None = Field(default=None, foreign_key="warehouse_receipt.id")
    key: str
    warehouse: str
    accredited_until: date
    holder_id: UUID = Field(foreign_key="party.id")
    pledgee_id: UUID | None = Field(default=None, foreign_key="party.id")
    qty_kg: Decimal = kilograms()
    pledged_kg: Decimal = kilograms(default=Decimal(0))
    tokenized_kg: Decimal = kilograms(default=Decimal(0))
    loss_kg: Decimal = kilograms(default=Decimal(0))
    delivered_kg: Decimal = kilograms(default=Decimal(0))
    grade: str | None = None
    quality: dict[str, Any] = document(default_factory=dict)
    insured_paisa: int = bigint()
    expires_on: date
    proceeds_paisa: int | None = bigint(default=None)
    state: ReceiptState = enumeration(ReceiptState, default=ReceiptState.DEPOSITED)
    offer: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    maker: str

    @property
    def free_kg(self) -> Decimal:
        """What nobody has a claim on."""
        taken = self.pledged_kg + self.tokenized_kg + self.loss_kg + self.delivered_kg
        return self.qty_kg - taken

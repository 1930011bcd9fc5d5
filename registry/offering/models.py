"""Offerings and orders: the first sale of a token's fractions."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, enumeration, instant


class OfferingState(StrEnum):
    OPEN = "OPEN"
    CLOSED = "CLOSED"
    FAILED = "FAILED"


class OrderState(StrEnum):
    AWAITING_PAYMENT = "AWAITING_PAYMENT"
    PAID = "PAID"
    MINTING = "MINTING"
    SETTLING = "SETTLING"
    """Fractions against rupees on chain, by `registry.settlement`."""
    SETTLED = "SETTLED"
    CANCELLED = "CANCELLED"
    REFUND_DUE = "REFUND_DUE"
    REFUNDED = "REFUNDED"


RESERVING = (
    OrderState.AWAITING_PAYMENT,
    OrderState.PAID,
    OrderState.MINTING,
    OrderState.SETTLING,
    OrderState.SETTLED,
)
"""States in which an order holds fractions that nobody else can buy."""


class Offering(Record, table=True):
    """A sale of at most the declared fractions, at one price.

    `reserved_units` counts what orders hold; the database itself refuses more than is offered.
    """

    __table_args__ = (
        CheckConstraint(
            "reserved_units >= 0 AND reserved_units <= offered_units",
            name="ck_offering_not_oversold",
        ),
        CheckConstraint("min_ticket_units > 0", name="ck_offering_ticket"),
        CheckConstraint(
            "minimum_units >= 0 AND minimum_units <= offered_units", name="ck_offering_minimum"
        ),
    )

    tokenization_id: UUID = Field(foreign_key="tokenization.id", unique=True)
    state: OfferingState = enumeration(OfferingState, default=OfferingState.OPEN)
    offered_units: int = bigint()
    minimum_units: int = bigint(default=0)
    min_ticket_units: int = bigint(default=1)
    price_paisa: int = bigint()
    reserved_units: int = bigint(default=0)
    opened_by: str


class Order(Record, table=True):
    """An investor's order for fractions, and the reference that its payment carries."""

    __tablename__ = "purchase_order"
    __table_args__ = (CheckConstraint("units > 0", name="ck_order_units"),)

    offering_id: UUID = Field(foreign_key="offering.id", index=True)
    investor_id: UUID = Field(foreign_key="investor.id", index=True)
    wallet_id: UUID = Field(foreign_key="wallet.id")
    units: int = bigint()
    amount_paisa: int = bigint()
    reference: str = Field(unique=True)
    state: OrderState = enumeration(OrderState, default=OrderState.AWAITING_PAYMENT)
    operation_id: UUID | None = Field(default=None, foreign_key="operation.id")


class Rail(StrEnum):
    BANK_TRANSFER = "bank_transfer"
    ONCHAIN_RUPEE = "onchain_rupee"


class PaymentState(StrEnum):
    UNALLOCATED = "UNALLOCATED"
    """It names no order that we know."""
    ALLOCATED = "ALLOCATED"
    RETURNED = "RETURNED"
    """It belonged to no order, and went back."""
    REVERSED = "REVERSED"
    """The bank took it back."""


class Payment(Record, table=True):
    """Money that a rail says has arrived; it is booked once, however often and wherever it is told.

    What became of it stands in the ledger (ADR 0045).

    Parameters
    ----------
    rail_reference
        The rail's own name of it.
    order_reference
        What it said it is for, as far as we could read it; numbers of people are masked.
    payer_hint
        Who sent it, masked before it comes here.
    """

    __table_args__ = (
        CheckConstraint("amount_paisa > 0", name="ck_payment_amount"),
        CheckConstraint(
            "state = 'REVERSED' OR (state = 'ALLOCATED') = (order_id IS NOT NULL)",
            name="ck_payment_order",
        ),
    )

    rail: Rail = enumeration(Rail)
    rail_reference: str = Field(unique=True)
    order_id: UUID | None = Field(default=None, foreign_key="purchase_order.id", index=True)
    order_reference: str | None = None
    payer_hint: str | None = None
    state: PaymentState = enumeration(PaymentState)
    amount_paisa: int = bigint()
    received_at: AwareDatetime = instant(nullable=False)


class PaymentReversal(Record, table=True):
    """A payment that the rail took back, whole."""

    __tablename__ = "payment_reversal"

    payment_id: UUID = Field(foreign_key="payment.id", unique=True)
    rail_reference: str
    received_at: AwareDatetime = instant(nullable=False)


class Refund(Record, table=True):
    """Money that went back, as treasury says: of an order, or of a payment that has none."""

    __table_args__ = (
        CheckConstraint("amount_paisa > 0", name="ck_refund_amount"),
        CheckConstraint("num_nonnulls(order_id, payment_id) = 1", name="ck_refund_subject"),
    )

    order_id: UUID | None = Field(default=None, foreign_key="purchase_order.id", index=True)
    payment_id: UUID | None = Field(default=None, foreign_key="payment.id", unique=True)
    rail: Rail = enumeration(Rail)
    rail_reference: str = Field(unique=True)
    amount_paisa: int = bigint()
    recorded_by: str

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


class Payment(Record, table=True):
    """Money that a rail says has arrived; a notice is booked once, however often it comes."""

    rail: str
    rail_reference: str = Field(unique=True)
    order_id: UUID = Field(foreign_key="purchase_order.id", unique=True)
    amount_paisa: int = bigint()
    received_at: AwareDatetime = instant(nullable=False)


class Refund(Record, table=True):
    """A payment that went back whole, as treasury says its bank confirmed."""

    __table_args__ = (CheckConstraint("amount_paisa > 0", name="ck_refund_amount"),)

    payment_id: UUID = Field(foreign_key="payment.id", unique=True)
    rail: str
    rail_reference: str = Field(unique=True)
    amount_paisa: int = bigint()
    recorded_by: str

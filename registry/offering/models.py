"""Offerings and orders: the first sale of a token's fractions, and sales of what was kept of it."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    Index,
    String,
    UniqueConstraint,
    text,
)
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, binary, enumeration, instant


class OfferingKind(StrEnum):
    """Where the fractions of a sale come from."""

    PRIMARY = "PRIMARY"
    """They are minted when it closes; paid for by bank."""
    SECONDARY = "SECONDARY"
    """The wrapper holds them; each order is delivered against rupees on chain."""


class OfferingState(StrEnum):
    OPEN = "OPEN"
    CLOSED = "CLOSED"
    FAILED = "FAILED"


class Allotment(StrEnum):
    """Who gets the fractions where more are asked for than are offered."""

    FIRST_COME = "FIRST_COME"
    """Who orders first: what is not left is refused, or waits on the list."""
    PRO_RATA = "PRO_RATA"
    """Everybody who has paid until the close, in the measure of what they asked for."""


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


class Rail(StrEnum):
    BANK_TRANSFER = "bank_transfer"
    ONCHAIN_RUPEE = "onchain_rupee"


UNDER_WAY = (
    OrderState.AWAITING_PAYMENT,
    OrderState.PAID,
    OrderState.MINTING,
    OrderState.SETTLING,
)
"""States of an order whose fractions are on their way."""

RESERVING = (*UNDER_WAY, OrderState.SETTLED)
"""States in which an order holds fractions that nobody else can buy."""


def _number(default: str) -> dict[str, object]:
    return {"server_default": text(default)}


class Offering(Record, table=True):
    """A sale of at most the declared fractions, at one price.

    `reserved_units` counts what orders hold; the database itself refuses more than is offered,
    but for a sale that allots pro rata and has not done so yet: there it counts subscriptions.

    Parameters
    ----------
    seller_wallet_id
        Of a SECONDARY sale: the wrapper's wallet, which signs each trade.
    offered_units, minimum_units
        Hard cap and soft cap.
    max_ticket_units
        What one investor may order in all.
    opens_at, closes_at
        Orders are taken from one until the other.
    eligible_countries
        Where it is sold to residents of some of the token's countries only.
    cooling_off_hours
        So long after an order its investor may withdraw it, paid or not.
    payment_hours
        So long an order waits for its money; None until the sale closes.
    waiting_list_hours
        So long fractions that became free are kept for who waited for them; 0 without a list.
    allotted_at
        When subscriptions were cut; from then on what is left goes to who comes first.
    last_sold_at
        When an order of it was completed last.
    """

    __table_args__ = (
        CheckConstraint(
            "reserved_units >= 0 AND (reserved_units <= offered_units"
            " OR (allotment = 'PRO_RATA' AND allotted_at IS NULL))",
            name="ck_offering_not_oversold",
        ),
        CheckConstraint("max_ticket_units >= min_ticket_units", name="ck_offering_max_ticket"),
        CheckConstraint("closes_at > opens_at", name="ck_offering_time"),
        CheckConstraint(
            "cooling_off_hours >= 0 AND payment_hours > 0 AND waiting_list_hours >= 0",
            name="ck_offering_hours",
        ),
        CheckConstraint("min_ticket_units > 0", name="ck_offering_ticket"),
        CheckConstraint(
            "minimum_units >= 0 AND minimum_units <= offered_units", name="ck_offering_minimum"
        ),
        # What is delivered against payment is neither cut, nor given up, nor taken back.
        CheckConstraint(
            "(kind = 'SECONDARY') = (seller_wallet_id IS NOT NULL) AND (kind = 'PRIMARY' OR"
            " (minimum_units = 0 AND allotment = 'FIRST_COME' AND cooling_off_hours = 0"
            " AND payment_hours IS NOT NULL))",
            name="ck_offering_kind",
        ),
        Index(
            "uq_offering_primary",
            "tokenization_id",
            unique=True,
            postgresql_where=text("kind = 'PRIMARY'"),
        ),
        Index(
            "uq_offering_secondary_open",
            "tokenization_id",
            unique=True,
            postgresql_where=text("kind = 'SECONDARY' AND state = 'OPEN'"),
        ),
        Index("ix_offering_tokenization_id", "tokenization_id"),
    )

    tokenization_id: UUID = Field(foreign_key="tokenization.id")
    kind: OfferingKind = enumeration(
        OfferingKind, default=OfferingKind.PRIMARY, sa_column_kwargs=_number("'PRIMARY'")
    )
    seller_wallet_id: UUID | None = Field(default=None, foreign_key="wallet.id")
    state: OfferingState = enumeration(OfferingState, default=OfferingState.OPEN)
    offered_units: int = bigint()
    minimum_units: int = bigint(default=0)
    min_ticket_units: int = bigint(default=1)
    price_paisa: int = bigint()
    max_ticket_units: int | None = bigint(default=None)
    reserved_units: int = bigint(default=0)
    opens_at: AwareDatetime | None = instant()
    closes_at: AwareDatetime | None = instant()
    eligible_countries: list[str] | None = Field(default=None, sa_column=Column(ARRAY(String)))
    allotment: Allotment = enumeration(
        Allotment, default=Allotment.FIRST_COME, sa_column_kwargs=_number("'FIRST_COME'")
    )
    cooling_off_hours: int = Field(default=0, sa_column_kwargs=_number("0"))
    payment_hours: int | None = None
    waiting_list_hours: int = Field(default=0, sa_column_kwargs=_number("0"))
    allotted_at: AwareDatetime | None = instant()
    last_sold_at: AwareDatetime | None = instant()
    opened_by: str


class OfferingDocument(Record, table=True):
    """A paper that a buyer must accept, with the SHA-256 that it had when the sale opened."""

    __tablename__ = "offering_document"
    __table_args__ = (UniqueConstraint("offering_id", "document_id", name="uq_offering_document"),)

    offering_id: UUID = Field(foreign_key="offering.id")
    document_id: UUID = Field(foreign_key="document.id")
    sha256: bytes = binary()


class WaitingState(StrEnum):
    WAITING = "WAITING"
    OFFERED = "OFFERED"
    """It became an order, whose state says how it went on."""
    LEFT = "LEFT"
    CLOSED = "CLOSED"
    """The sale ended before its turn came."""


class WaitingEntry(Record, table=True):
    """An investor who would buy what becomes free of a sale that is sold out."""

    __tablename__ = "waiting_entry"
    __table_args__ = (
        CheckConstraint("units > 0", name="ck_waiting_entry_units"),
        Index(
            "uq_waiting_entry_investor",
            "offering_id",
            "investor_id",
            unique=True,
            postgresql_where=text("state = 'WAITING'"),
        ),
    )

    offering_id: UUID = Field(foreign_key="offering.id", index=True)
    investor_id: UUID = Field(foreign_key="investor.id", index=True)
    wallet_id: UUID = Field(foreign_key="wallet.id")
    units: int = bigint()
    state: WaitingState = enumeration(WaitingState, default=WaitingState.WAITING)


class Order(Record, table=True):
    """An investor's order for fractions, and the reference that its payment carries.

    Parameters
    ----------
    units, amount_paisa
        What it buys, and for how much; less than was asked for once fewer are allotted.
    subscribed_units
        What was asked for.
    allotted_units
        What it got of a sale that allots pro rata, once that has closed; may be 0.
    pay_until
        Unpaid then, it lapses.
    withdrawable_until
        The end of its cooling-off.
    waiting_entry_id
        Where it was offered to somebody on the waiting list.
    rail
        By which it is paid for.
    trade_digest, seller_signature
        What the wrapper has signed of an order that is paid on chain (EIP-712), and its signature:
        from then on it can be settled until `pay_until`, by whoever has the buyer's too.
    """

    __tablename__ = "purchase_order"
    __table_args__ = (
        CheckConstraint("units > 0", name="ck_order_units"),
        CheckConstraint("units <= subscribed_units", name="ck_order_subscribed"),
        # Whose the orders are that were paid on a day.
        Index("ix_purchase_order_payer", "id", postgresql_include=["investor_id"]),
        CheckConstraint(
            "(trade_digest IS NULL) = (seller_signature IS NULL) AND (trade_digest IS NULL OR"
            " (rail = 'onchain_rupee' AND pay_until IS NOT NULL))",
            name="ck_order_trade",
        ),
        CheckConstraint(
            "allotted_units >= 0 AND (allotted_units = units OR allotted_units = 0)",
            name="ck_order_allotted",
        ),
        Index(
            "ix_purchase_order_pay_until",
            "pay_until",
            postgresql_where=text("state = 'AWAITING_PAYMENT'"),
        ),
    )

    offering_id: UUID = Field(foreign_key="offering.id", index=True)
    investor_id: UUID = Field(foreign_key="investor.id", index=True)
    wallet_id: UUID = Field(foreign_key="wallet.id")
    units: int = bigint()
    subscribed_units: int = bigint()
    allotted_units: int | None = bigint(default=None)
    amount_paisa: int = bigint()
    reference: str = Field(unique=True)
    state: OrderState = enumeration(OrderState, default=OrderState.AWAITING_PAYMENT)
    operation_id: UUID | None = Field(default=None, foreign_key="operation.id", index=True)
    pay_until: AwareDatetime | None = instant()
    withdrawable_until: AwareDatetime | None = instant()
    waiting_entry_id: UUID | None = Field(default=None, foreign_key="waiting_entry.id", unique=True)
    rail: Rail = enumeration(
        Rail, default=Rail.BANK_TRANSFER, sa_column_kwargs=_number("'bank_transfer'")
    )
    trade_digest: bytes | None = binary(nullable=True, default=None, unique=True)
    seller_signature: bytes | None = binary(nullable=True, default=None)


class DocumentAcceptance(Record, table=True):
    """That somebody accepted a paper: which, with which SHA-256, for what, who and when; for ever.

    Parameters
    ----------
    order_id, waiting_entry_id
        What it was accepted for; an order offered from the waiting list has those of its entry.
    """

    __tablename__ = "document_acceptance"
    __table_args__ = (
        CheckConstraint(
            "num_nonnulls(order_id, waiting_entry_id) = 1", name="ck_document_acceptance_subject"
        ),
    )

    offering_id: UUID = Field(foreign_key="offering.id")
    document_id: UUID = Field(foreign_key="document.id")
    sha256: bytes = binary()
    investor_id: UUID = Field(foreign_key="investor.id", index=True)
    accepted_by: str
    order_id: UUID | None = Field(default=None, foreign_key="purchase_order.id", index=True)
    waiting_entry_id: UUID | None = Field(default=None, foreign_key="waiting_entry.id", index=True)


class PaymentState(StrEnum):
    UNALLOCATED = "UNALLOCATED"
    """It names no order that we know."""
    ALLOCATED = "ALLOCATED"
    RETURNED = "RETURNED"
    """It belonged to no order, and went back."""
    PAID_DEBT = "PAID_DEBT"
    """It made good what was owed of another payment."""
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
    owing_payment_id
        Of which other payment it made good what was owed.
    proposed_order_id, proposed_payment_id, proposed_by
        For which order, or debt of a payment, somebody of treasury would use it, though nothing
        points to that one.
    """

    __table_args__ = (
        CheckConstraint("amount_paisa > 0", name="ck_payment_amount"),
        CheckConstraint(
            "num_nonnulls(proposed_order_id, proposed_payment_id) = num_nonnulls(proposed_by)",
            name="ck_payment_proposed",
        ),
        CheckConstraint(
            "state = 'REVERSED' OR (state = 'ALLOCATED') = (order_id IS NOT NULL)",
            name="ck_payment_order",
        ),
        CheckConstraint(
            "state = 'REVERSED' OR (state = 'PAID_DEBT') = (owing_payment_id IS NOT NULL)",
            name="ck_payment_owing",
        ),
        # What came on one day (reports of currency transactions).
        # All that the payments of a day add up to stands in it.
        Index(
            "ix_payment_received_at",
            "received_at",
            postgresql_include=["order_id", "amount_paisa", "state", "rail"],
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
    owing_payment_id: UUID | None = Field(default=None, foreign_key="payment.id")
    proposed_order_id: UUID | None = Field(default=None, foreign_key="purchase_order.id")
    proposed_payment_id: UUID | None = Field(default=None, foreign_key="payment.id")
    proposed_by: str | None = None


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

"""Offerings, orders and the waiting list over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator
from sqlmodel import Session

from api.schemas.common import (
    Address,
    BigInteger,
    Body,
    Country,
    DatedInstant,
    MoneyAmount,
    OfPerson,
    Read,
    Sha256Hex,
    ShortText,
    Units,
    bytes_of_hex,
)
from registry.compliance.terms import MAX_COUNTRIES
from registry.document.models import Document
from registry.kernel.messages import text_of
from registry.kernel.whole import NO_FLAG
from registry.offering import acceptance, waiting
from registry.offering.acceptance import Accepted
from registry.offering.models import (
    Allotment,
    DocumentAcceptance,
    Offering,
    OfferingKind,
    OfferingState,
    Order,
    OrderState,
    Rail,
    WaitingEntry,
    WaitingState,
)
from registry.offering.money import Standing, standing_of, standings_of
from registry.offering.terms import (
    DAY_HOURS,
    MAX_COOLING_OFF_HOURS,
    MAX_PAYMENT_HOURS,
    MAX_WAITING_LIST_HOURS,
    USUAL_PAYMENT_HOURS,
    USUAL_WAITING_LIST_HOURS,
    OfferTerms,
)

MAX_DOCUMENTS = 20
OrderedUnits = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,17}$")]


class CoolingOff(Body):
    """How long a paid order can be withdrawn: hours or days, one of them."""

    hours: Annotated[int, Field(gt=0, le=MAX_COOLING_OFF_HOURS), NO_FLAG] | None = None
    days: Annotated[int, Field(gt=0, le=MAX_COOLING_OFF_HOURS // DAY_HOURS), NO_FLAG] | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if (self.hours is None) == (self.days is None):
            raise ValueError("is in hours or in days")
        return self

    @property
    def in_hours(self) -> int:
        return self.hours if self.hours is not None else (self.days or 0) * DAY_HOURS


class SaleTerms(Body):
    """What the terms of every sale say."""

    offered_units: Units
    min_ticket_units: Units = "1"
    max_ticket_units: Units | None = None
    opens_at: DatedInstant | None = None
    closes_at: DatedInstant | None = None
    eligible_countries: Annotated[list[Country], Field(max_length=MAX_COUNTRIES)] | None = None
    document_ids: Annotated[list[UUID], Field(max_length=MAX_DOCUMENTS)] = Field(
        default_factory=list
    )

    def said(self) -> dict[str, Any]:
        most, countries = self.max_ticket_units, self.eligible_countries
        return {
            "offered_units": int(self.offered_units),
            "min_ticket_units": int(self.min_ticket_units),
            "max_ticket_units": None if most is None else int(most),
            "opens_at": self.opens_at,
            "closes_at": self.closes_at,
            "eligible_countries": None if countries is None else tuple(countries),
            "document_ids": tuple(self.document_ids),
        }


class OfferingCreate(SaleTerms):
    """The terms of the first sale.

    `offered_units` is the hard cap, `minimum_units` the soft cap. `max_ticket_units` is what one
    investor may order in all. `payment_hours` is how long an order waits for its money; null,
    until the sale closes, which needs a `closes_at`. What becomes free is kept for who waits for
    it for `waiting_list_hours`; 0: there is no waiting list. Each buyer accepts the papers of
    `document_ids`.
    """

    minimum_units: Units = "0"
    allotment: Allotment = Allotment.FIRST_COME
    cooling_off: CoolingOff | None = None
    payment_hours: Annotated[int, Field(gt=0, le=MAX_PAYMENT_HOURS), NO_FLAG] | None = (
        USUAL_PAYMENT_HOURS
    )
    waiting_list_hours: Annotated[int, Field(ge=0, le=MAX_WAITING_LIST_HOURS), NO_FLAG] = (
        USUAL_WAITING_LIST_HOURS
    )

    def terms(self) -> OfferTerms:
        return OfferTerms(
            **self.said(),
            minimum_units=int(self.minimum_units),
            allotment=self.allotment,
            cooling_off_hours=self.cooling_off.in_hours if self.cooling_off else 0,
            payment_hours=self.payment_hours,
            waiting_list_hours=self.waiting_list_hours,
        )


class OfferingDocumentRead(Read):
    """A paper that each buyer must accept, by the SHA-256 that it had when the sale opened."""

    document_id: UUID
    kind: str
    sha256: str
    media_type: str
    size_bytes: int

    @classmethod
    def of(cls, row: Document) -> Self:
        return cls(
            document_id=row.id,
            kind=row.kind,
            sha256=row.sha256.hex(),
            media_type=row.media_type,
            size_bytes=row.size_bytes,
        )


class OfferingRead(Read):
    """A sale, and what is left of it.

    A PRIMARY one mints its fractions when it closes, and is paid by bank; in a SECONDARY one the
    wrapper sells what it holds, each order against rupees on chain (/v1/orders/{id}/trade).
    Of a sale that allots PRO_RATA, `reserved_units` counts what was subscribed: until
    `allotted_at` it may be more than is offered, and orders are taken although nothing is left.
    """

    id: UUID
    tokenization_id: UUID
    kind: OfferingKind
    state: OfferingState
    offered_units: BigInteger
    minimum_units: BigInteger
    min_ticket_units: BigInteger
    max_ticket_units: BigInteger | None
    reserved_units: BigInteger
    left_units: BigInteger
    price: MoneyAmount
    message: str
    opens_at: datetime | None
    closes_at: datetime | None
    eligible_countries: list[str] | None
    allotment: Allotment
    allotted_at: datetime | None
    cooling_off_hours: int
    payment_hours: int | None
    waiting_list_hours: int
    documents: list[OfferingDocumentRead]

    @classmethod
    def of(cls, row: Offering, papers: Sequence[Document]) -> Self:
        return cls(
            **row.model_dump(),
            message=text_of("states", f"offering.{row.state}"),
            left_units=max(row.offered_units - row.reserved_units, 0),
            price=MoneyAmount.of(row.price_paisa),
            documents=[OfferingDocumentRead.of(paper) for paper in papers],
        )

    @classmethod
    def read(cls, session: Session, row: Offering) -> Self:
        return cls.reader(session, [row])(row)

    @classmethod
    def reader(cls, session: Session, rows: Sequence[Offering]) -> Callable[[Offering], Self]:
        """Give what shows each of these sales, having asked for their papers once."""
        papers = acceptance.papers_of(session, [row.id for row in rows])
        return lambda row: cls.of(row, papers[row.id])


class AcceptedDocument(Body):
    """A paper of the offering that the buyer has read and accepts, by the hash of its bytes."""

    document_id: UUID
    sha256: Sha256Hex

    def accepted(self) -> Accepted:
        return Accepted(self.document_id, bytes.fromhex(self.sha256))


class OrderCreate(Body):
    """How many fractions, to which proven wallet, having accepted which papers."""

    units: OrderedUnits
    wallet: Address
    accepted_documents: Annotated[list[AcceptedDocument], Field(max_length=MAX_DOCUMENTS)] = Field(
        default_factory=list
    )

    @property
    def wallet_address(self) -> bytes:
        return bytes_of_hex(self.wallet)

    def accepted(self) -> list[Accepted]:
        return [each.accepted() for each in self.accepted_documents]


class OrderRead(Read):
    """An order, paid by its `rail`.

    By bank, where the transfer carries `reference`, however spaced, or in rupees on chain
    (/v1/orders/{id}/trade).

    `message` says the state in your language. `missing` is what is still to be paid; `refund_due`
    came beyond the price or too late, and goes back; `owed` is what the bank took back after the
    fractions were minted. `units` and `amount`
    are what it buys: less than `subscribed_units` once `allotted_units` is fewer. Unpaid at
    `pay_until` it lapses; paid, it can be withdrawn until `withdrawable_until`. It was offered from
    the waiting list if it has a `waiting_entry_id`.
    """

    id: UUID
    offering_id: UUID
    units: BigInteger
    subscribed_units: BigInteger
    allotted_units: BigInteger | None
    amount: MoneyAmount
    paid: MoneyAmount
    missing: MoneyAmount
    refund_due: MoneyAmount
    refunded: MoneyAmount
    owed: MoneyAmount
    rail: Rail
    reference: str
    state: OrderState
    message: str
    pay_until: datetime | None
    withdrawable_until: datetime | None
    waiting_entry_id: UUID | None
    operation_id: UUID | None
    recorded_at: datetime

    @classmethod
    def of(cls, row: Order, standing: Standing) -> Self:
        paid = standing.paid_of(row.amount_paisa)
        waits = row.state == OrderState.AWAITING_PAYMENT
        return cls(
            **row.model_dump(),
            message=text_of("states", f"order.{row.state}"),
            amount=MoneyAmount.of(row.amount_paisa),
            paid=MoneyAmount.of(paid),
            missing=MoneyAmount.of(row.amount_paisa - paid + standing.owed if waits else 0),
            refund_due=MoneyAmount.of(standing.due),
            refunded=MoneyAmount.of(standing.refunded),
            owed=MoneyAmount.of(standing.owed),
        )

    @classmethod
    def read(cls, session: Session, row: Order) -> Self:
        return cls.of(row, standing_of(session, row.id))

    @classmethod
    def reader(cls, session: Session, rows: Sequence[Order]) -> Callable[[Order], Self]:
        """Give what shows each of these orders, having asked for their money once."""
        standings = standings_of(session, [row.id for row in rows])
        return lambda row: cls.of(row, standings[row.id])


class SaleOrderRead(OrderRead, OfPerson):
    """An order as who runs a sale, or keeps its books, sees it: with its buyer."""

    investor_id: UUID


class AcceptanceRead(OfPerson):
    """That a paper was accepted for an order: which, by which hash, by whom and when."""

    investor_id: Annotated[UUID, Field(exclude=True)]
    document_id: UUID
    sha256: str
    accepted_by: str
    accepted_at: datetime

    @classmethod
    def of(cls, row: DocumentAcceptance) -> Self:
        return cls(
            investor_id=row.investor_id,
            document_id=row.document_id,
            sha256=row.sha256.hex(),
            accepted_by=row.accepted_by,
            accepted_at=row.recorded_at,
        )


class WaitingEntryRead(Read):
    """A place on a waiting list: the first has `place` 1; `order_id` is what it became."""

    id: UUID
    offering_id: UUID
    units: BigInteger
    state: WaitingState
    place: int | None
    order_id: UUID | None
    recorded_at: datetime

    @classmethod
    def read(cls, session: Session, row: WaitingEntry) -> Self:
        return cls.reader(session, [row])(row)

    @classmethod
    def reader(
        cls, session: Session, rows: Sequence[WaitingEntry]
    ) -> Callable[[WaitingEntry], Self]:
        """Give what shows each of these places, having asked for all of them once."""
        places, became = waiting.places_of(session, rows), waiting.orders_of(session, rows)
        return lambda row: cls(
            **row.model_dump(), place=places.get(row.id), order_id=became.get(row.id)
        )


class RefundRecord(Body):
    """The bank's own name of a transfer back, and how much went; by default all that is due."""

    rail_reference: ShortText
    amount: MoneyAmount | None = None

"""Tokenizations and offerings over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field, StringConstraints
from sqlmodel import Session

from api.schemas.common import (
    Address,
    BigInteger,
    Body,
    MoneyAmount,
    Read,
    Sha256Hex,
    ShortText,
    Units,
    WithAddresses,
    address_of,
)
from api.schemas.compliance import ComplianceBody
from api.schemas.operations import OperationRead
from registry.kernel.actor import Role
from registry.kernel.messages import text_of
from registry.kernel.whole import NO_FLAG
from registry.offering.models import Offering, OfferingState, Order, OrderState
from registry.offering.money import Standing, standing_of, standings_of
from registry.offering.service import OfferTerms
from registry.tokenization.compliance import terms_of
from registry.tokenization.models import Tokenization, TokenizationState
from registry.tokenization.service import TokenTermsProposal, terms_hash
from registry.tokenization.title_status import TitleStatus

Positive = Annotated[int, Field(gt=0, le=2**53), NO_FLAG]


class TokenizationCreate(Body):
    """The terms of a token; decimals are 0, a fraction is whole."""

    symbol: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9]{1,10}$")]
    name: ShortText
    declared_fractions: Units
    price: MoneyAmount
    economic_share: Annotated[
        tuple[Positive, Positive], Field(description="Numerator and denominator, at most 1")
    ] = (1, 1)
    maturity: date | None = None
    compliance: ComplianceBody = ComplianceBody()

    def terms(self) -> TokenTermsProposal:
        return TokenTermsProposal(
            symbol=self.symbol,
            name=self.name,
            declared_fractions=int(self.declared_fractions),
            price_paisa=self.price.paisa("/price/amount"),
            economic_share=Fraction(*self.economic_share),
            maturity=self.maturity,
            compliance=self.compliance.terms(),
        )


class TokenizationRead(Read):
    """A tokenization; `terms_hash` is what its approvals are of.

    `compliance` is null for a token from before its terms were asked for. `title_status` and
    `title_root` are what the chain was told last of the title behind it.
    """

    id: UUID
    asset_id: UUID
    state: TokenizationState
    symbol: str
    name: str
    declared_fractions: BigInteger
    price: MoneyAmount
    economic_share: tuple[int, int]
    maturity: date | None
    compliance: ComplianceBody | None
    structured_by: str
    terms_hash: str
    token_address: str | None
    suite: WithAddresses | None
    title_status: TitleStatus | None
    title_root: str | None
    recorded_at: datetime

    @classmethod
    def of(cls, row: Tokenization) -> Self:
        terms = terms_of(row)
        return cls(
            **row.model_dump(exclude={"token_address", "title_root", "compliance"}),
            compliance=ComplianceBody.of(terms) if terms else None,
            price=MoneyAmount.of(row.price_paisa),
            economic_share=(row.economic_share_num, row.economic_share_den),
            terms_hash=terms_hash(row).hex(),
            token_address=address_of(row.token_address) if row.token_address else None,
            title_root=row.title_root.hex() if row.title_root is not None else None,
        )


class TokenizationApproval(Body):
    """An approval of exactly the terms that one has read."""

    role: Role
    terms_hash: Sha256Hex


class UnpauseCreate(Body):
    """Agreement, in one role, that transfers go on, and why they may."""

    role: Role
    reason: Annotated[str, StringConstraints(min_length=3, max_length=2000)]


class UnpauseRead(Read):
    """Who must still agree; the operation is there once everybody has."""

    missing: list[Role]
    operation: OperationRead | None


class OfferingCreate(Body):
    """The terms of the first sale."""

    offered_units: Units
    minimum_units: Units = "0"
    min_ticket_units: Units = "1"

    def terms(self) -> OfferTerms:
        return OfferTerms(
            offered_units=int(self.offered_units),
            minimum_units=int(self.minimum_units),
            min_ticket_units=int(self.min_ticket_units),
        )


class OfferingRead(Read):
    """A sale, and what is left of it."""

    id: UUID
    tokenization_id: UUID
    state: OfferingState
    offered_units: BigInteger
    minimum_units: BigInteger
    min_ticket_units: BigInteger
    reserved_units: BigInteger
    left_units: BigInteger
    price: MoneyAmount
    message: str

    @classmethod
    def of(cls, row: Offering) -> Self:
        return cls(
            **row.model_dump(),
            message=text_of("states", f"offering.{row.state}"),
            left_units=row.offered_units - row.reserved_units,
            price=MoneyAmount.of(row.price_paisa),
        )


class OrderCreate(Body):
    """How many fractions, to which proven wallet."""

    units: Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,17}$")]
    wallet: Address


class OrderRead(Read):
    """An order; its payment carries `reference`, however spaced.

    `message` says the state in your language. `missing` is what is still to be paid; `refund_due`
    came beyond the price or too late, and goes back; `owed` is what the bank took back after the
    fractions were minted.
    """

    id: UUID
    offering_id: UUID
    units: BigInteger
    amount: MoneyAmount
    paid: MoneyAmount
    missing: MoneyAmount
    refund_due: MoneyAmount
    refunded: MoneyAmount
    owed: MoneyAmount
    reference: str
    state: OrderState
    message: str
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


class RefundRecord(Body):
    """The bank's own name of a transfer back, and how much went; by default all that is due."""

    rail_reference: ShortText
    amount: MoneyAmount | None = None

"""Orders of courts and of the state over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from api.schemas.common import (
    Address,
    BigInteger,
    Body,
    Instant,
    LongText,
    OfPerson,
    Sha256Hex,
    ShortText,
    Units,
    address_of,
)
from registry.court_order import service as orders
from registry.court_order.models import CourtOrder, CourtOrderState, OrderScope
from registry.court_order.service import NewOrder
from registry.encumbrance.models import EncumbranceKind
from registry.kernel.actor import Role


class CourtOrderCreate(Body):
    """An order as it came in; it names exactly what its scope needs."""

    scope: OrderScope
    kind: EncumbranceKind
    authority: ShortText
    case_no: ShortText
    issued_on: date
    received_at: Instant
    document_sha256: Sha256Hex
    asset_id: UUID | None = None
    party_id: UUID | None = None
    wallet: Address | None = None
    tokenization_id: UUID | None = None
    amount_units: Units | None = None
    document_id: UUID | None = None
    ends_on: date | None = None

    def new(self) -> NewOrder:
        said: dict[str, Any] = self.model_dump()
        return NewOrder(
            **said
            | {
                "document_sha256": bytes.fromhex(self.document_sha256),
                "wallet": bytes.fromhex(self.wallet[2:]) if self.wallet else None,
                "amount_units": int(self.amount_units) if self.amount_units else None,
            }
        )


class AuthenticationCreate(Body):
    """How the authority confirmed the order."""

    confirmation: LongText


class CourtOrderVariationCreate(Body):
    """A new order that changes this one."""

    document_sha256: Sha256Hex
    amount_units: Units | None = None
    ends_on: date | None = None


class VacationCreate(Body):
    """A vacating order, agreed to in one role."""

    role: Role
    vacating_sha256: Sha256Hex
    vacating_document_id: Annotated[
        UUID | None, Field(description="The paper under the asset, for an order on an asset")
    ] = None


class CourtOrderRead(OfPerson):
    """An order, and what became of it."""

    id: UUID
    scope: OrderScope
    kind: EncumbranceKind
    authority: str
    case_no: str
    asset_id: UUID | None
    party_id: UUID | None
    wallet: str | None
    tokenization_id: UUID | None
    amount_units: BigInteger | None
    document_id: UUID | None
    document_sha256: str
    issued_on: date
    ends_on: date | None
    received_at: datetime
    applied_at: datetime | None
    in_force_at: datetime | None
    minutes_to_apply: Annotated[
        int | None,
        Field(
            description="From its receipt until the chain first showed it, whatever varied it"
            " since; whole minutes"
        ),
    ]
    lifted_at: datetime | None
    state: CourtOrderState
    encumbrance_id: UUID | None
    maker: str
    authenticated_by: str | None

    @classmethod
    def of(cls, order: CourtOrder) -> Self:
        said = order.model_dump(
            exclude={"wallet", "document_sha256", "vacating_sha256", "pause_wanted"}
        )
        return cls(
            **said,
            wallet=address_of(order.wallet) if order.wallet else None,
            document_sha256=order.document_sha256.hex(),
            minutes_to_apply=orders.minutes_to_apply(order),
        )

"""Redemptions over HTTP."""

from __future__ import annotations

from datetime import date
from typing import Self
from uuid import UUID

from sqlmodel import Session

from api.schemas.common import (
    BigInteger,
    Body,
    LongText,
    MoneyAmount,
    OfPerson,
    Read,
    ShortText,
    address_of,
)
from api.schemas.free_text import FreeText
from registry.kernel.actor import Role
from registry.redemption.models import (
    PayoutState,
    Redemption,
    RedemptionKind,
    RedemptionPayout,
    RedemptionState,
)
from registry.redemption.repository import tally
from registry.redemption.service import RedemptionTerms


class RedemptionCreate(Body):
    """What is paid for all fractions together, less which costs, for what, and by when."""

    kind: RedemptionKind
    price: MoneyAmount
    price_basis: LongText
    record_on: date
    vote_until: date
    long_stop_on: date
    costs: MoneyAmount | None = None

    def terms(self) -> RedemptionTerms:
        return RedemptionTerms(
            **self.model_dump(exclude={"price", "costs"}),
            price_paisa=self.price.paisa("/price/amount"),
            costs_paisa=self.costs.paisa("/costs/amount") if self.costs else 0,
        )


class VoteCreate(Body):
    """Yes or no."""

    in_favour: bool


class RoleGiven(Body):
    """The role in which one agrees."""

    role: Role


class FundingCreate(Body):
    """What the escrow account holds, by which statement."""

    escrow: MoneyAmount
    reference: ShortText


class RailReference(Body):
    """The payment rail's own name of the payment."""

    rail_reference: ShortText


class RedemptionRead(Read):
    """A redemption, and how its vote stands."""

    id: UUID
    tokenization_id: UUID
    kind: RedemptionKind
    state: RedemptionState
    price: MoneyAmount
    costs: MoneyAmount
    price_basis: str
    funded: MoneyAmount
    record_on: date
    vote_until: date
    long_stop_on: date
    in_favour_units: BigInteger
    against_units: BigInteger
    supply_units: BigInteger
    record_block: BigInteger | None
    cap_table_hash: str | None

    @classmethod
    def of(cls, session: Session, row: Redemption) -> Self:
        votes = tally(session, row)
        return cls(
            **row.model_dump(
                include={
                    "id", "tokenization_id", "kind", "state", "price_basis", "record_on",
                    "vote_until", "long_stop_on", "record_block",
                }
            ),
            price=MoneyAmount.of(row.price_paisa),
            costs=MoneyAmount.of(row.costs_paisa or 0),
            funded=MoneyAmount.of(row.funded_paisa),
            in_favour_units=votes.in_favour_units,
            against_units=votes.against_units,
            supply_units=votes.supply_units,
            cap_table_hash=row.cap_table_hash.hex() if row.cap_table_hash else None,
        )  # fmt: skip


class PayoutRead(OfPerson):
    """What one address is paid."""

    id: UUID
    address: str
    party_id: UUID | None
    units: BigInteger
    amount: MoneyAmount
    state: PayoutState
    rail_reference: str | None
    reason: FreeText | None
    held_by: str | None

    @classmethod
    def of(cls, row: RedemptionPayout) -> Self:
        said = row.model_dump(
            include={"id", "party_id", "units", "state", "rail_reference", "reason", "held_by"}
        )
        return cls(**said, address=address_of(row.address), amount=MoneyAmount.of(row.amount_paisa))

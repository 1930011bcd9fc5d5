"""Redemptions: the end of a token, and what its holders are paid."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, binary, enumeration, instant, uint256


class RedemptionKind(StrEnum):
    SALE = "SALE"
    BUYOUT = "BUYOUT"
    DELIVERY = "DELIVERY"
    MATURITY = "MATURITY"
    COURT = "COURT"


class RedemptionState(StrEnum):
    REQUESTED = "REQUESTED"
    VALIDATED = "VALIDATED"
    VOTED = "VOTED"
    APPROVED = "APPROVED"
    RECORD_DATE_FROZEN = "RECORD_DATE_FROZEN"
    FUNDED = "FUNDED"
    PAYING = "PAYING"
    PAID = "PAID"
    SETTLED = "SETTLED"
    REJECTED = "REJECTED"
    ABORTED = "ABORTED"


ENDED = (RedemptionState.SETTLED, RedemptionState.REJECTED, RedemptionState.ABORTED)


class PayoutState(StrEnum):
    DUE = "DUE"
    PAID = "PAID"
    HELD = "HELD"


class Redemption(Record, table=True):
    """One redemption of one token; at most one is alive for a token.

    Parameters
    ----------
    price_paisa
        What the asset, or all fractions together, bring; its basis says where it comes from.
    costs_paisa
        What of it is kept for costs: holders vote on both. None where it was asked for before
        costs were told.
    vote_block
        Block whose cap table votes.
    record_block
        Block whose cap table is paid, and `cap_table_hash` of that cap table.
    record_holders, record_units
        So many addresses are paid, for so many units; none on older ones, whose payouts tell.
    long_stop_on
        Day after which a redemption that nobody funded may be aborted.
    state
        ABORTED also where whoever asked for it has withdrawn it, or its record block differs.
    """

    __table_args__ = (
        Index(
            "uq_redemption_alive",
            "tokenization_id",
            unique=True,
            postgresql_where=text("state NOT IN ('SETTLED', 'REJECTED', 'ABORTED')"),
        ),
        CheckConstraint("price_paisa >= 0 AND funded_paisa >= 0", name="ck_redemption_money"),
        CheckConstraint("costs_paisa >= 0", name="ck_redemption_costs"),
    )

    tokenization_id: UUID = Field(foreign_key="tokenization.id", index=True)
    kind: RedemptionKind = enumeration(RedemptionKind)
    state: RedemptionState = enumeration(RedemptionState, default=RedemptionState.REQUESTED)
    price_paisa: int = bigint()
    costs_paisa: int | None = bigint(default=None)
    price_basis: str
    record_on: date
    vote_until: date
    long_stop_on: date
    vote_block: int | None = bigint(default=None)
    vote_supply_units: int | None = uint256(default=None, nullable=True)
    record_block: int | None = bigint(default=None)
    record_holders: int | None = None
    record_units: int | None = uint256(default=None, nullable=True)
    cap_table_hash: bytes | None = binary(nullable=True, default=None)
    frozen_at: AwareDatetime | None = instant()
    funded_paisa: int = bigint(default=0)
    escrow_reference: str | None = None
    maker: str

    @property
    def net_paisa(self) -> int:
        """What the holders are paid."""
        return self.price_paisa - (self.costs_paisa or 0)


class RedemptionVote(Record, table=True):
    """One holder's vote, with the fractions that stood behind it."""

    __tablename__ = "redemption_vote"
    __table_args__ = (
        UniqueConstraint("redemption_id", "party_id", name="uq_redemption_vote"),
        CheckConstraint("units > 0", name="ck_redemption_vote_units"),
    )

    redemption_id: UUID = Field(foreign_key="redemption.id")
    party_id: UUID = Field(foreign_key="party.id")
    in_favour: bool
    units: int = uint256()
    cast_by: str


class RedemptionPayout(Record, table=True):
    """What one address is paid; its party may be unknown, then the money is held.

    Parameters
    ----------
    held_by
        Who has held it by hand; null where the register holds it for an obstacle of its own.
    """

    __tablename__ = "redemption_payout"
    __table_args__ = (
        UniqueConstraint("redemption_id", "address", name="uq_redemption_payout"),
        CheckConstraint("units > 0 AND amount_paisa >= 0", name="ck_redemption_payout"),
        Index(
            "ix_redemption_payout_open",
            "redemption_id",
            "state",
            postgresql_include=["amount_paisa", "recorded_at"],
            postgresql_where=text("state <> 'PAID'"),
        ),
        Index("ix_redemption_payout_paid", "party_id", postgresql_where=text("state = 'PAID'")),
    )

    redemption_id: UUID = Field(foreign_key="redemption.id")
    address: bytes = binary()
    party_id: UUID | None = Field(default=None, foreign_key="party.id")
    units: int = uint256()
    frozen_units: int = uint256(default=0)
    amount_paisa: int = bigint(default=0)
    state: PayoutState = enumeration(PayoutState, default=PayoutState.DUE)
    rail_reference: str | None = None
    reason: str | None = None
    held_by: str | None = None

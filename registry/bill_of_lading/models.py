"""Electronic bills of lading (eBL, DCSA): who possesses the goods at sea, and who is entitled."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from registry.kernel.columns import Record, enumeration


class BillState(StrEnum):
    DRAFT = "DRAFT"
    APPROVED = "APPROVED"
    ISSUED = "ISSUED"
    TOKEN_LOCKED = "TOKEN_LOCKED"  # noqa: S105 - a state, no password
    PENDING_SURRENDER_FOR_DELIVERY = "PENDING_SURRENDER_FOR_DELIVERY"
    PENDING_SURRENDER_FOR_AMENDMENT = "PENDING_SURRENDER_FOR_AMENDMENT"
    SURRENDERED_FOR_DELIVERY = "SURRENDERED_FOR_DELIVERY"
    SURRENDERED_FOR_AMENDMENT = "SURRENDERED_FOR_AMENDMENT"
    SWITCHED_TO_PAPER = "SWITCHED_TO_PAPER"
    VOIDED = "VOIDED"


UNISSUED = (BillState.DRAFT, BillState.APPROVED, BillState.VOIDED)
ENDED = (BillState.SURRENDERED_FOR_DELIVERY, BillState.SWITCHED_TO_PAPER, BillState.VOIDED)


class Action(StrEnum):
    """Entries of the endorsement chain, as DCSA names them."""

    ISSUE = "ISSUE"
    ENDORSE = "ENDORSE"
    ENDORSE_TO_ORDER = "ENDORSE_TO_ORDER"
    BLANK_ENDORSE = "BLANK_ENDORSE"
    TRANSFER = "TRANSFER"
    SURRENDER_FOR_DELIVERY = "SURRENDER_FOR_DELIVERY"
    SURRENDER_FOR_AMENDMENT = "SURRENDER_FOR_AMENDMENT"
    SACC = "SACC"
    SREJ = "SREJ"


class BillOfLading(Record, table=True):
    """One transport document.

    Parameters
    ----------
    reference
        DCSA's transportDocumentReference, at most 20 characters.
    carrier
        SCAC of the carrier.
    voyage
        Universal voyage reference.
    holder_id
        Who possesses the bill; exactly one from its issue on (EBL-01).
    beneficiary_id
        Who is entitled to the goods; nobody by name after a blank endorsement: then the holder.
    chain_no
        Which endorsement chain is in force: a reissue after an amendment begins the next.
    """

    __tablename__ = "bill_of_lading"
    __table_args__ = (
        UniqueConstraint("carrier", "reference", name="uq_bill_of_lading_reference"),
        CheckConstraint(
            "holder_id IS NOT NULL OR state IN ('DRAFT', 'APPROVED', 'VOIDED')",
            name="ck_bill_of_lading_one_holder",
        ),
    )

    asset_id: UUID = Field(foreign_key="asset.id", index=True)
    reference: str
    carrier: str
    is_to_order: bool
    voyage: str
    shipper_id: UUID = Field(foreign_key="party.id")
    consignee_id: UUID | None = Field(default=None, foreign_key="party.id")
    holder_id: UUID | None = Field(default=None, foreign_key="party.id")
    beneficiary_id: UUID | None = Field(default=None, foreign_key="party.id")
    chain_no: int = 1
    state: BillState = enumeration(BillState, default=BillState.DRAFT)
    offer: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    maker: str


class BillEquipment(Record, table=True):
    """A container under a bill on a voyage; at most one live bill for the two (EBL-01).

    `live` is kept by the database from the bill's state: from its issue until it is surrendered
    for delivery or switched to paper.
    """

    __tablename__ = "bill_equipment"
    __table_args__ = (
        UniqueConstraint("bill_id", "equipment", name="uq_bill_equipment"),
        Index(
            "uq_bill_equipment_live",
            "equipment",
            "voyage",
            unique=True,
            postgresql_where=text("live"),
        ),
    )

    bill_id: UUID = Field(foreign_key="bill_of_lading.id")
    equipment: str
    voyage: str
    live: bool = False


class BillEndorsement(Record, table=True):
    """One entry of an endorsement chain; never changed, never removed (EBL-01)."""

    __tablename__ = "bill_endorsement"
    __table_args__ = (
        UniqueConstraint("bill_id", "chain_no", "seq", name="uq_bill_endorsement_seq"),
        # With the sequence unique: ISSUE exactly once, and first.
        CheckConstraint("(action = 'ISSUE') = (seq = 1)", name="ck_bill_endorsement_issue_first"),
        CheckConstraint("seq >= 1", name="ck_bill_endorsement_seq"),
    )

    bill_id: UUID = Field(foreign_key="bill_of_lading.id")
    chain_no: int
    seq: int
    action: Action = enumeration(Action)
    actor: str
    from_party_id: UUID | None = Field(default=None, foreign_key="party.id")
    to_party_id: UUID | None = Field(default=None, foreign_key="party.id")
    reference: str
    reason: str | None = None

"""Warehouse receipts and bills of lading over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field
from sqlmodel import Session

from api.schemas.common import Body, LongText, MoneyAmount, Read, ShortText
from api.schemas.free_text import FreeText
from registry.bill_of_lading import chain
from registry.bill_of_lading.models import Action, BillOfLading, BillState
from registry.bill_of_lading.service import NewBill
from registry.keeping.service import Naming
from registry.kernel.actor import Role
from registry.receipt.models import ReceiptState, WarehouseReceipt
from registry.receipt.renewal import Renewal
from registry.receipt.service import Deposit, Grading

Kilograms = Annotated[Decimal, Field(gt=0, max_digits=24, decimal_places=6)]
Percentage = Annotated[Decimal, Field(ge=0, le=100, decimal_places=4)]


class ReceiptCreate(Body):
    """Goods that a warehouse takes in; the dossier says what they are."""

    key: ShortText
    warehouse: ShortText
    accredited_until: date
    depositor_id: UUID
    qty_kg: Kilograms
    expires_on: date | None = None

    def deposit(self) -> Deposit:
        return Deposit(**self.model_dump())


class GradingCreate(Body):
    """What the assayer found, offered to the depositor."""

    grade: ShortText
    quality: Annotated[dict[str, Percentage], Field(min_length=1, max_length=40)]
    weight_note_id: UUID
    assay_id: UUID

    def grading(self) -> Grading:
        return Grading(**self.model_dump())


class SplitCreate(Body):
    """Quantities of the receipts that replace this one."""

    parts_kg: Annotated[list[Kilograms], Field(min_length=2, max_length=1000)]


class PartyNamed(Body):
    """To whom."""

    party_id: UUID


class PledgeCreate(Body):
    """Goods offered as a pledge."""

    pledgee_id: UUID
    qty_kg: Kilograms


class PaperNamed(Body):
    """The paper on which the act rests."""

    document_id: UUID


class SaleCreate(Body):
    """A sale of the goods, and what it brought."""

    document_id: UUID
    proceeds: MoneyAmount


class RenewalCreate(Body):
    """What the warehouse has renewed since the goods came in, each with its verified paper."""

    accredited_until: date | None = None
    accreditation_id: UUID | None = None
    insured: MoneyAmount | None = None
    insurance_id: UUID | None = None

    def renewal(self) -> Renewal:
        return Renewal(
            accredited_until=self.accredited_until,
            accreditation_id=self.accreditation_id,
            insured_paisa=self.insured.paisa("/insured/amount") if self.insured else None,
            insurance_id=self.insurance_id,
        )


class ExtensionCreate(RenewalCreate):
    """A new term after a new assay."""

    assay_id: UUID
    expires_on: date


class KeeperCreate(Body):
    """Agreement, in one role, who acts on the paper for its warehouse or carrier from now on."""

    role: Role
    subject: Annotated[
        ShortText, Field(description="The account that acts, as `/v1/me` of it names it.")
    ]
    reason: LongText

    def naming(self) -> Naming:
        return Naming(**self.model_dump())


class KeeperRead(Read):
    """Who must still agree; none once it is done."""

    missing: list[Role]


class LossCreate(Body):
    """Goods that a stock audit found short or spoilt."""

    qty_kg: Kilograms
    audit_id: UUID


class ReceiptRead(Read):
    """A warehouse receipt; `free_kg` is what nobody has a claim on."""

    id: UUID
    asset_id: UUID
    parent_id: UUID | None
    key: str
    warehouse: str
    accredited_until: date
    holder_id: UUID
    pledgee_id: UUID | None
    qty_kg: Decimal
    pledged_kg: Decimal
    tokenized_kg: Decimal
    loss_kg: Decimal
    delivered_kg: Decimal
    free_kg: Decimal
    grade: str | None
    quality: dict[str, Any]
    insured: MoneyAmount
    expires_on: date
    state: ReceiptState
    offered: str | None

    @classmethod
    def of(cls, receipt: WarehouseReceipt) -> Self:
        return cls(
            **receipt.model_dump(exclude={"insured_paisa", "proceeds_paisa", "offer", "maker"}),
            free_kg=receipt.free_kg,
            insured=MoneyAmount.of(receipt.insured_paisa),
            offered=receipt.offer["event"] if receipt.offer else None,
        )


class BillCreate(Body):
    """A bill of lading as its carrier makes it out."""

    reference: ShortText
    carrier: ShortText
    is_to_order: bool
    voyage: ShortText
    equipment: Annotated[list[ShortText], Field(min_length=1, max_length=1000)]
    shipper_id: UUID
    consignee_id: UUID | None = None

    def new(self) -> NewBill:
        return NewBill(**self.model_dump())


class EndorsementCreate(Body):
    """To whom the entitlement goes, and how."""

    party_id: UUID
    action: Literal[Action.ENDORSE, Action.ENDORSE_TO_ORDER, Action.BLANK_ENDORSE]


class ReferenceNamed(Body):
    """The new reference of an amended bill."""

    reference: ShortText


class BillRead(Read):
    """A bill of lading: who possesses it, and who is entitled."""

    id: UUID
    asset_id: UUID
    reference: str
    carrier: str
    is_to_order: bool
    voyage: str
    equipment: list[str]
    shipper_id: UUID
    consignee_id: UUID | None
    holder_id: UUID | None
    beneficiary_id: UUID | None
    chain_no: int
    state: BillState
    offered: str | None

    @classmethod
    def of(cls, session: Session, bill: BillOfLading) -> Self:
        return cls(
            **bill.model_dump(exclude={"offer", "maker"}),
            equipment=chain.list_equipment(session, bill.id),
            offered=bill.offer["action"] if bill.offer else None,
        )


class EndorsementRead(Read):
    """One entry of an endorsement chain."""

    chain_no: int
    seq: int
    action: Action
    actor: str
    from_party_id: UUID | None
    to_party_id: UUID | None
    reference: str
    reason: FreeText | None
    recorded_at: datetime

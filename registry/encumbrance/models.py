"""Encumbrances (LADM LA_Restriction, LA_Mortgage): what others may hold against a title."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Index, text
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, enumeration


class EncumbranceKind(StrEnum):
    MORTGAGE = "MORTGAGE"
    CHARGE = "CHARGE"
    PLEDGE = "PLEDGE"
    STAY_ORDER = "STAY_ORDER"
    ATTACHMENT = "ATTACHMENT"
    FREEZE_ORDER = "FREEZE_ORDER"
    ACQUISITION_NOTICE = "ACQUISITION_NOTICE"
    LIS_PENDENS = "LIS_PENDENS"
    PRE_EMPTION_CLAIM = "PRE_EMPTION_CLAIM"
    CAVEAT = "CAVEAT"
    TAX_LIEN = "TAX_LIEN"
    SOCIETY_DUES = "SOCIETY_DUES"
    LEASE = "LEASE"
    TENANCY = "TENANCY"
    EASEMENT = "EASEMENT"
    COVENANT = "COVENANT"


class Effect(StrEnum):
    """What an encumbrance stops, from everything to nothing."""

    BLOCK_ALL = "BLOCK_ALL"
    BLOCK_TRANSFER = "BLOCK_TRANSFER"
    BLOCK_TOKENIZE = "BLOCK_TOKENIZE"
    DISCLOSE = "DISCLOSE"


class EncumbranceState(StrEnum):
    LODGED = "LODGED"
    ACTIVE = "ACTIVE"
    DISCHARGE_PENDING = "DISCHARGE_PENDING"
    ENFORCEMENT = "ENFORCEMENT"
    DISCHARGED = "DISCHARGED"
    ENFORCED = "ENFORCED"
    LAPSED = "LAPSED"
    REJECTED = "REJECTED"


IN_FORCE = (
    EncumbranceState.ACTIVE,
    EncumbranceState.DISCHARGE_PENDING,
    EncumbranceState.ENFORCEMENT,
)


class Encumbrance(Record, table=True):
    """One restriction on one title. Ranks of live security interests are unique (ENC-03)."""

    __table_args__ = (
        Index(
            "uq_encumbrance_rank",
            "title_id",
            "rank",
            unique=True,
            postgresql_where=text("state IN ('ACTIVE', 'DISCHARGE_PENDING', 'ENFORCEMENT')"),
        ),
    )

    title_id: UUID = Field(foreign_key="title.id", index=True)
    kind: EncumbranceKind = enumeration(EncumbranceKind)
    effect: Effect = enumeration(Effect)
    rank: int | None = None
    amount_paisa: int | None = bigint(default=None)
    holder_id: UUID | None = Field(default=None, foreign_key="party.id")
    authority: str | None = None
    case_no: str | None = None
    lender_consent: bool = False
    ends_on: date | None = None
    source_document_id: UUID = Field(foreign_key="document.id")
    state: EncumbranceState = enumeration(EncumbranceState, default=EncumbranceState.LODGED)
    maker: str
    checker: str | None = None

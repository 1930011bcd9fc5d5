"""Encumbrances (LADM LA_Restriction, LA_Mortgage): what others may hold against a title."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, enumeration, instant


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


_SECURITY = "kind IN ('MORTGAGE', 'CHARGE', 'PLEDGE')"
_LIVE_SECURITY = f"{_SECURITY} AND state IN ('ACTIVE', 'DISCHARGE_PENDING', 'ENFORCEMENT')"


class Encumbrance(Record, table=True):
    """One restriction on one title, with the terms that it has now.

    Ranks of live security interests are unique (ENC-03). It binds from `valid_from` to
    `valid_to`. `maker` lodged it and `checker` put it in force; `asked_by` asked for what is
    decided next, a discharge or an enforcement, and `decided_by` decided it.
    """

    __table_args__ = (
        Index(
            "uq_encumbrance_rank",
            "title_id",
            "rank",
            unique=True,
            postgresql_where=text(_LIVE_SECURITY),
        ),
        CheckConstraint(f"rank IS NULL OR {_SECURITY}", name="ck_encumbrance_rank"),
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
    consent_document_id: UUID | None = Field(default=None, foreign_key="document.id")
    ends_on: date | None = None
    source_document_id: UUID = Field(foreign_key="document.id")
    state: EncumbranceState = enumeration(EncumbranceState, default=EncumbranceState.LODGED)
    valid_from: AwareDatetime | None = instant()
    valid_to: AwareDatetime | None = instant()
    maker: str
    checker: str | None = None
    asked_by: str | None = None
    decided_by: str | None = None
    closing_document_id: UUID | None = Field(default=None, foreign_key="document.id")
    confirmation: str | None = None


class EncumbranceTerms(Record, table=True):
    """One version of an encumbrance's terms; those of before a variation stay readable.

    Without `valid_from` it is a variation that waits for its checker, or never came into force.
    """

    __tablename__ = "encumbrance_terms"
    __table_args__ = (
        UniqueConstraint("encumbrance_id", "seq", name="uq_encumbrance_terms_seq"),
        Index(
            "uq_encumbrance_terms_current",
            "encumbrance_id",
            unique=True,
            postgresql_where=text("valid_from IS NOT NULL AND valid_to IS NULL"),
        ),
    )

    encumbrance_id: UUID = Field(foreign_key="encumbrance.id", index=True)
    seq: int
    effect: Effect = enumeration(Effect)
    rank: int | None = None
    amount_paisa: int | None = bigint(default=None)
    holder_id: UUID | None = Field(default=None, foreign_key="party.id")
    lender_consent: bool = False
    consent_document_id: UUID | None = Field(default=None, foreign_key="document.id")
    ends_on: date | None = None
    source_document_id: UUID = Field(foreign_key="document.id")
    valid_from: AwareDatetime | None = instant()
    valid_to: AwareDatetime | None = instant()
    superseded_at: AwareDatetime | None = instant()
    maker: str
    checker: str | None = None

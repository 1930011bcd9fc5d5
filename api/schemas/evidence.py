"""Documents, valuations and wrappers over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Self
from uuid import UUID

from api.schemas.common import Body, MoneyAmount, Read, Sha256Hex, ShortText
from registry.document.models import Document, DocumentState
from registry.valuation.models import Valuation, ValuationState
from registry.wrapper.models import RegisterOfRecord, WrapperType


class DocumentRead(Read):
    """A paper, known by the SHA-256 of its bytes."""

    id: UUID
    asset_id: UUID
    kind: str
    sha256: str
    size_bytes: int
    media_type: str
    file_name: str
    issuer: str | None
    issuer_ref: str | None
    issued_on: date | None
    valid_until: date | None
    state: DocumentState
    uploaded_by: str
    verified_by: str | None
    verified_at: datetime | None
    source_registry: str | None
    source_reference: str | None
    reason: str | None

    @classmethod
    def of(cls, document: Document) -> Self:
        return cls(**document.model_dump(exclude={"sha256"}), sha256=document.sha256.hex())


class DocumentVerification(Body):
    """How the issuing registry confirmed the paper."""

    source_registry: ShortText
    source_reference: ShortText


class ValuationCreate(Body):
    """A valuer's opinion."""

    value: MoneyAmount
    basis_date: date
    method: ShortText
    report_sha256: Sha256Hex


class ValuationRead(Read):
    """A valuation and where it stands."""

    id: UUID
    asset_id: UUID
    value: MoneyAmount
    basis_date: date
    method: str
    report_sha256: str
    state: ValuationState
    valuer: str
    checker: str | None
    recorded_at: datetime

    @classmethod
    def of(cls, valuation: Valuation) -> Self:
        return cls(
            **valuation.model_dump(exclude={"report_sha256", "amount_paisa"}),
            value=MoneyAmount.of(valuation.amount_paisa),
            report_sha256=valuation.report_sha256.hex(),
        )


class WrapperCreate(Body):
    """The vehicle that holds the asset for its token holders."""

    party_id: UUID
    type: WrapperType
    register_of_record: RegisterOfRecord


class WrapperRead(Read):
    """The named vehicle."""

    id: UUID
    asset_id: UUID
    party_id: UUID
    type: WrapperType
    register_of_record: RegisterOfRecord
    named_by: str

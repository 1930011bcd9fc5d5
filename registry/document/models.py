"""Documents: the sources (LADM LA_AdministrativeSource) on which every right rests."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import Index, text
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, binary, enumeration, instant


class DocumentState(StrEnum):
    UPLOADED = "UPLOADED"
    PENDING_VERIFICATION = "PENDING_VERIFICATION"
    VERIFIED = "VERIFIED"
    EXPIRED = "EXPIRED"
    SUPERSEDED = "SUPERSEDED"
    REVOKED = "REVOKED"
    REJECTED = "REJECTED"


class Document(Record, table=True):
    """One paper of one asset, known by the SHA-256 of its bytes.

    The same bytes stand under one asset only, unless they were rejected (DOC-01).
    """

    __table_args__ = (
        Index(
            "uq_document_sha256", "sha256", unique=True, postgresql_where=text("state<>'REJECTED'")
        ),
    )

    asset_id: UUID = Field(foreign_key="asset.id", index=True)
    kind: str
    sha256: bytes = binary()
    size_bytes: int = bigint()
    media_type: str
    file_name: str
    issuer: str | None = None
    issuer_ref: str | None = None
    issued_on: date | None = None
    valid_until: date | None = None
    state: DocumentState = enumeration(DocumentState, default=DocumentState.UPLOADED)
    uploaded_by: str
    verified_by: str | None = None
    verified_at: AwareDatetime | None = instant()
    source_registry: str | None = None
    source_reference: str | None = None
    reason: str | None = None

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

    The same bytes stand under one asset only, unless they were rejected or their dossier was
    (DOC-01). `stored_as` names the sealed blob in the store; `sealed` holds its key and the
    file's name; `sealed_with` names the vault's keys of that time.
    """

    __table_args__ = (
        Index(
            "uq_document_sha256",
            "sha256",
            unique=True,
            postgresql_where=text("state<>'REJECTED' AND NOT released"),
        ),
    )

    asset_id: UUID = Field(foreign_key="asset.id", index=True)
    kind: str
    sha256: bytes = binary()
    size_bytes: int = bigint()
    media_type: str
    stored_as: bytes = binary()
    sealed: bytes = binary()
    sealed_with: bytes = binary(index=True)
    issuer: str | None = None
    issuer_ref: str | None = None
    issued_on: date | None = None
    valid_until: date | None = None
    state: DocumentState = enumeration(DocumentState, default=DocumentState.UPLOADED)
    uploaded_by: str
    replaces_id: UUID | None = Field(default=None, foreign_key="document.id")
    released: bool = False
    verified_by: str | None = None
    verified_at: AwareDatetime | None = instant()
    source_registry: str | None = None
    source_reference: str | None = None
    reason: str | None = None

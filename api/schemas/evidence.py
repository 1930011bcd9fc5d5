"""Documents over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Self
from uuid import UUID

from api.schemas.common import Body, Read, ShortText
from api.schemas.free_text import FreeText
from registry.document.content import file_name_of
from registry.document.models import Document, DocumentState
from registry.kernel.vault import Vault


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
    replaces_id: UUID | None
    verified_by: str | None
    verified_at: datetime | None
    source_registry: str | None
    source_reference: str | None
    reason: FreeText | None

    @classmethod
    def of(cls, vault: Vault, document: Document) -> Self:
        return cls(
            **document.model_dump(exclude={"sha256", "sealed", "sealed_with", "stored_as"}),
            sha256=document.sha256.hex(),
            file_name=file_name_of(vault, document),
        )


class DocumentVerification(Body):
    """How the issuing registry confirmed the paper."""

    source_registry: ShortText
    source_reference: ShortText

"""Documents over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Self
from uuid import UUID

from api.auth.access import STAFF
from api.schemas.common import Body, Read, ShortText
from api.schemas.free_text import FreeText, shown
from registry.document.content import file_name_of
from registry.document.models import Document, DocumentState
from registry.kernel.actor import Actor
from registry.kernel.vault import Vault


class DocumentRead(Read):
    """A paper, known by the SHA-256 of its bytes.

    `file_name` may name a person: it is null for who does not work on the register, and for others
    than who filed the paper its numbers are hidden.
    """

    id: UUID
    asset_id: UUID
    kind: str
    sha256: str
    size_bytes: int
    media_type: str
    file_name: str | None
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
    def of(cls, vault: Vault, document: Document, reader: Actor | None = None) -> Self:
        """Show a paper.

        Parameters
        ----------
        reader
            None in the answer to a change, which staff makes, and which is kept for a repeat.
        """
        return cls(
            **document.model_dump(exclude={"sha256", "sealed", "sealed_with", "stored_as"}),
            sha256=document.sha256.hex(),
            file_name=_file_name(vault, document, reader),
        )


def _file_name(vault: Vault, document: Document, reader: Actor | None) -> str | None:
    if reader is not None and reader.is_person_of(document.uploaded_by):
        return file_name_of(vault, document)
    if reader is not None and not reader.roles & STAFF:
        return None
    return shown(file_name_of(vault, document))


class DocumentVerification(Body):
    """How the issuing registry confirmed the paper."""

    source_registry: ShortText
    source_reference: ShortText

"""Papers on which acts on a receipt rest."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from registry.document import service as documents
from registry.document.models import Document, DocumentState
from registry.kernel.errors import Conflict, Invalid


def verified_paper(session: Session, asset_id: UUID, document_id: UUID, *, kind: str) -> Document:
    """Return a paper of the asset that the verifier confirmed.

    Raises
    ------
    Invalid
        ``source_of_other_asset``, ``source_of_other_kind``.
    Conflict
        ``source_not_verified``.
    """
    document = documents.get_document(session, document_id)
    if document.asset_id != asset_id:
        raise Invalid("source_of_other_asset", "The source document belongs to another asset.")
    if document.kind != kind:
        raise Invalid(
            "source_of_other_kind",
            f"The act rests on a paper of kind {kind}; this one is {document.kind}.",
        )
    if document.state != DocumentState.VERIFIED:
        raise Conflict(
            "source_not_verified",
            f"The source document is {document.state}; no right rests on an unverified paper.",
            remedy="Have the document verifier confirm it with its registry.",
        )
    return document

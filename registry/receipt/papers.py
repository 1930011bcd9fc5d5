"""Papers on which acts on a receipt rest."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from registry.document import sources
from registry.document.models import Document
from registry.kernel.errors import Invalid


def verified_paper(session: Session, asset_id: UUID, document_id: UUID, *, kind: str) -> Document:
    """Return a paper of the asset that the verifier confirmed.

    Raises
    ------
    Invalid
        ``source_of_other_asset``, ``source_of_other_kind``.
    Conflict
        ``source_not_verified``.
    """
    document = sources.paper_of(session, asset_id, document_id, called="source document")
    if document.kind != kind:
        raise Invalid(
            "source_of_other_kind",
            f"The act rests on a paper of kind {kind}; this one is {document.kind}.",
        )
    sources.require_verified(document)
    return document

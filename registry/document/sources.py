"""Papers as sources of rights (LADM LA_AdministrativeSource): of the asset itself, and verified."""

from __future__ import annotations

from uuid import UUID

from sqlmodel import Session

from registry.document.models import Document, DocumentState
from registry.document.service import get_document
from registry.kernel.errors import Conflict, Invalid


def paper_of(
    session: Session,
    asset_id: UUID,
    document_id: UUID,
    *,
    called: str = "paper",
    field: str | None = None,
) -> Document:
    """Return a paper that is filed under this asset.

    Parameters
    ----------
    called
        What people call it here, for the error.

    Raises
    ------
    Invalid
        ``source_of_other_asset``.
    NotFound
    """
    paper = get_document(session, document_id)
    if paper.asset_id != asset_id:
        raise Invalid(
            "source_of_other_asset", f"The {called} belongs to another asset.", field=field
        )
    return paper


def require_verified(paper: Document) -> None:
    """Refuse to rest a right on a paper that its registry has not confirmed.

    Raises
    ------
    Conflict
        ``source_not_verified``.
    """
    if paper.state != DocumentState.VERIFIED:
        raise Conflict(
            "source_not_verified",
            f"The source document is {paper.state}; no right rests on an unverified paper.",
            remedy="Have the document verifier confirm it with its registry.",
        )

"""What a paper must be before it is filed, and under whom its bytes stand already."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import BinaryIO
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset.models import GONE_STATES, Asset, AssetState
from registry.document.models import Document, DocumentState
from registry.document.scan import Scan
from registry.kernel.clock import today
from registry.kernel.errors import Conflict, Invalid
from registry.kernel.rows import get_row

OF_COURTS = frozenset({"COURT_DECREE", "COURT_ORDER", "FINAL_ORDER", "VACATING_ORDER"})
"""Papers that a retired asset takes: money of its holders may be frozen long after it has ended."""
ACCEPTED_MEDIA_TYPES = frozenset({"application/pdf", "image/png", "image/jpeg", "image/tiff"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    """What an upload says of itself; its type is read from its bytes.

    Parameters
    ----------
    content
        Seekable; never read into memory as a whole.
    replaces_id
        The paper of the same kind whose place it takes once it is verified.
    """

    kind: str
    file_name: str
    content: BinaryIO
    issuer: str | None = None
    issuer_ref: str | None = None
    issued_on: date | None = None
    valid_until: date | None = None
    replaces_id: UUID | None = None


class BytesUnderAnotherAsset(Conflict):
    """Rule DOC-01: the same bytes prove another asset already. An alert, besides a refusal."""

    def __init__(self, twin: Document, asset_id: UUID) -> None:
        super().__init__(
            "document_known",
            f"These very bytes are already filed as {twin.kind} of another asset (rule DOC-01).",
            remedy="File each paper once; a paper of two assets needs two certified copies.",
            rule="DOC-01",
        )
        self.document_id, self.asset_id = twin.id, asset_id


def require_open(asset: Asset, kind: str) -> None:
    """Refuse papers for an asset that is gone: they would stand in the way of nobody's dossier.

    Parameters
    ----------
    kind
        Of the paper; what a court says of a retired asset is filed.

    Raises
    ------
    Conflict
        ``asset_gone``.
    """
    heard = asset.state == AssetState.RETIRED and kind in OF_COURTS
    if asset.state in GONE_STATES and not heard:
        raise Conflict(
            "asset_gone",
            f"The asset is {asset.state}; it takes no papers any more.",
            remedy="File the paper under the dossier that is open.",
        )


def check_paper(session: Session, asset: Asset, new: NewDocument, seen: Scan) -> str:
    """Return the media type of a paper that may be filed.

    Raises
    ------
    Invalid
        ``document_empty``, ``document_type_refused``, ``document_dated_in_future`` (DOC-02),
        ``document_replaces_wrong``.
    """
    media_type = check_bytes(seen)
    if new.issued_on is not None and new.issued_on > today():
        raise Invalid(
            "document_dated_in_future",
            f"A paper issued on {new.issued_on} cannot be filed today (rule DOC-02).",
            field="/issued_on",
            rule="DOC-02",
        )
    if new.replaces_id is not None:
        old = get_row(session, Document, new.replaces_id, kind="document")
        replaceable = old.state in {DocumentState.VERIFIED, DocumentState.EXPIRED}
        if (old.asset_id, old.kind) != (asset.id, new.kind) or not replaceable:
            raise Invalid(
                "document_replaces_wrong",
                "A paper takes the place of a verified or expired one of its asset and kind.",
                field="/replaces_id",
            )
    return media_type


def check_bytes(seen: Scan) -> str:
    """Return the media type of bytes that may be filed as a paper, of whatever it is.

    Raises
    ------
    Invalid
        ``document_empty``, ``document_type_refused``.
    """
    if not seen.size_bytes:
        raise Invalid("document_empty", "The uploaded file is empty.", field="/file")
    if seen.media_type not in ACCEPTED_MEDIA_TYPES:
        raise Invalid(
            "document_type_refused",
            f"The bytes are of type {seen.media_type or 'unknown'}, whatever the name says.",
            field="/file",
            remedy=f"Send one of {', '.join(sorted(ACCEPTED_MEDIA_TYPES))}.",
        )
    return seen.media_type


def refuse_twin(session: Session, sha256: bytes, asset_id: UUID) -> None:
    """Refuse bytes that are filed already.

    Raises
    ------
    Conflict
        ``document_filed``: under this asset.
    BytesUnderAnotherAsset
    """
    twin = session.exec(
        select(Document).where(
            col(Document.sha256) == sha256,
            col(Document.state) != DocumentState.REJECTED,
            ~col(Document.released),
        )
    ).first()
    if twin is None:
        return
    if twin.asset_id != asset_id:
        raise BytesUnderAnotherAsset(twin, asset_id)
    raise Conflict(
        "document_filed",
        f"These very bytes are already filed under this asset, as {twin.kind}.",
        remedy="Use the document that is filed.",
    )

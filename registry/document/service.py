"""Use cases on documents: upload, verify against the source, reject."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

import filetype
from sqlmodel import Session, col, select

from registry.asset.models import Asset
from registry.document.models import Document, DocumentState
from registry.document.store import DocumentStore
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now, today
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.kernel.machine import machine
from registry.kernel.rows import get_row

ACCEPTED_MEDIA_TYPES = frozenset({"application/pdf", "image/png", "image/jpeg", "image/tiff"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDocument:
    """What an upload says of itself; its type is read from its bytes."""

    kind: str
    file_name: str
    content: bytes
    issuer: str | None = None
    issuer_ref: str | None = None
    issued_on: date | None = None
    valid_until: date | None = None


def upload_document(
    session: Session, store: DocumentStore, actor: Actor, asset: Asset, new: NewDocument
) -> Document:
    """Store a paper of `asset` and queue it for verification.

    Raises
    ------
    Invalid
        ``document_empty``, ``document_type_refused``, ``document_dated_in_future`` (DOC-02).
    Conflict
        ``document_known`` (DOC-01): the same bytes already stand under an asset.
    """
    media_type = _check_content(new)
    digest = store.put(new.content)
    twin = session.exec(
        select(Document).where(
            col(Document.sha256) == digest, col(Document.state) != DocumentState.REJECTED
        )
    ).first()
    if twin is not None:
        raise Conflict(
            "document_known",
            f"These very bytes are already filed as {twin.kind} (rule DOC-01).",
            remedy="File each paper once; a paper of two assets needs two certified copies.",
        )
    document = Document(
        asset_id=asset.id,
        kind=new.kind,
        sha256=digest,
        size_bytes=len(new.content),
        media_type=media_type,
        file_name=new.file_name,
        issuer=new.issuer,
        issuer_ref=new.issuer_ref,
        issued_on=new.issued_on,
        valid_until=new.valid_until,
        uploaded_by=actor.subject,
    )
    document.state = DocumentState(
        machine("document").next_state(document.state, "scan_ok", THE_SYSTEM.roles)
    )
    session.add(document)
    session.flush()
    journal.record(
        session,
        actor,
        "document_uploaded",
        "document",
        document.id,
        kind=new.kind,
        sha256=digest.hex(),
        asset_id=str(asset.id),
    )
    return document


def _check_content(new: NewDocument) -> str:
    if not new.content:
        raise Invalid("document_empty", "The uploaded file is empty.", field="/file")
    media_type = filetype.guess_mime(new.content)
    if media_type not in ACCEPTED_MEDIA_TYPES:
        raise Invalid(
            "document_type_refused",
            f"The bytes are of type {media_type or 'unknown'}, whatever the name says.",
            field="/file",
            remedy=f"Send one of {', '.join(sorted(ACCEPTED_MEDIA_TYPES))}.",
        )
    if new.issued_on is not None and new.issued_on > today():
        raise Invalid(
            "document_dated_in_future",
            f"A paper issued on {new.issued_on} cannot be filed today (rule DOC-02).",
            field="/issued_on",
        )
    return str(media_type)


def verify_document(
    session: Session, actor: Actor, document_id: UUID, *, source_registry: str, reference: str
) -> Document:
    """Record that the issuing registry confirmed the paper; never by whoever uploaded it.

    Raises
    ------
    Forbidden
        ``verifier_is_uploader``.
    Conflict
        ``transition_refused``: it does not wait for verification.
    """
    document = get_document(session, document_id, lock=True)
    state = machine("document").next_state(document.state, "verify", actor.roles)
    if document.uploaded_by == actor.subject:
        raise Forbidden(
            "verifier_is_uploader", "Whoever uploaded a paper cannot verify it (four eyes)."
        )
    document.state = DocumentState(state)
    document.verified_by, document.verified_at = actor.subject, now()
    document.source_registry, document.source_reference = source_registry, reference
    session.flush()
    journal.record(
        session,
        actor,
        "document_verified",
        "document",
        document.id,
        source_registry=source_registry,
        reference=reference,
    )
    return document


def reject_document(session: Session, actor: Actor, document_id: UUID, *, reason: str) -> Document:
    """Record that the paper is not what it says.

    Raises
    ------
    Conflict
        ``transition_refused``: it does not wait for verification.
    """
    document = get_document(session, document_id, lock=True)
    document.state = DocumentState(
        machine("document").next_state(document.state, "reject", actor.roles)
    )
    document.reason = reason
    session.flush()
    journal.record(session, actor, "document_rejected", "document", document.id, reason=reason)
    return document


def get_document(session: Session, document_id: UUID, *, lock: bool = False) -> Document:
    """Return the document.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, Document, document_id, kind="document", lock=lock)


def list_documents(session: Session, asset_id: UUID) -> Sequence[Document]:
    """List the papers of an asset, oldest first."""
    return session.exec(
        select(Document).where(col(Document.asset_id) == asset_id).order_by(col(Document.id))
    ).all()


def verified_kinds(session: Session, asset_id: UUID) -> frozenset[str]:
    """Return the kinds of papers that are verified and have not run out."""
    return frozenset(
        document.kind
        for document in list_documents(session, asset_id)
        if document.state == DocumentState.VERIFIED
        and (document.valid_until is None or document.valid_until >= today())
    )

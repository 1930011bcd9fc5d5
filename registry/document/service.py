"""Use cases on documents: upload, verify against the source, reject, revoke, let go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from registry.asset.models import Asset
from registry.document import guards
from registry.document.content import open_content, store_sealed
from registry.document.intake import (
    BytesUnderAnotherAsset,
    NewDocument,
    check_paper,
    refuse_twin,
    require_open,
)
from registry.document.models import Document, DocumentState
from registry.document.scan import scan
from registry.document.store import DocumentStore
from registry.journal import service as journal
from registry.kernel.actor import THE_SYSTEM, Actor
from registry.kernel.clock import now, today
from registry.kernel.ids import new_id
from registry.kernel.rows import get_row
from registry.kernel.vault import Vault
from registry.lifecycle.service import fire


def upload_document(  # noqa: PLR0917
    session: Session,
    vault: Vault,
    store: DocumentStore,
    actor: Actor,
    asset: Asset,
    new: NewDocument,
) -> Document:
    """Store a paper of `asset`, sealed, and queue it for verification.

    A paper in which something runs is kept too, as REJECTED: it is evidence.

    Raises
    ------
    Invalid
        ``document_empty``, ``document_type_refused``, ``document_dated_in_future`` (DOC-02),
        ``document_replaces_wrong``.
    Conflict
        ``asset_gone``; ``document_filed``: the same bytes stand under this asset.
    BytesUnderAnotherAsset
    """
    require_open(asset, new.kind)
    seen = scan(new.content)
    media_type = check_paper(session, asset, new, seen)
    refuse_twin(session, seen.sha256, asset.id)
    document_id = new_id()
    stored_as, sealed = store_sealed(vault, store, document_id, new.content, new.file_name)
    document = Document(
        id=document_id,
        asset_id=asset.id,
        kind=new.kind,
        sha256=seen.sha256,
        size_bytes=seen.size_bytes,
        media_type=media_type,
        stored_as=stored_as,
        sealed=sealed,
        sealed_with=vault.key_id,
        issuer=new.issuer,
        issuer_ref=new.issuer_ref,
        issued_on=new.issued_on,
        valid_until=new.valid_until,
        replaces_id=new.replaces_id,
        uploaded_by=actor.subject,
    )
    try:
        _add(session, asset, document)
    except Exception:
        store.remove(stored_as)
        raise
    facts = {"kind": new.kind, "sha256": seen.sha256.hex(), "asset_id": str(asset.id)}
    journal.record(session, actor, "document_uploaded", "document", document.id, **facts)
    if seen.danger is None:
        fire(session, THE_SYSTEM, guards.MACHINE, document, "scan_ok", given={"danger": None})
    else:
        document.reason = f"It contains {seen.danger}."
        given = {"reason": document.reason}
        fire(session, THE_SYSTEM, guards.MACHINE, document, "scan_fail", given=given, **given)
    return document


def _add(session: Session, asset: Asset, document: Document) -> None:
    try:
        with session.begin_nested():
            session.add(document)
    except IntegrityError:
        # Somebody filed them between our look and our write: look again, now it is visible.
        refuse_twin(session, document.sha256, document.asset_id)
        raise
    # The row refers to the asset's, and waited for whoever was closing that dossier.
    session.refresh(asset, ["state"])
    require_open(asset, document.kind)


def record_alert(session: Session, actor: Actor, refused: BytesUnderAnotherAsset) -> None:
    """Journal that bytes of one asset were offered for another; in a transaction that stays."""
    journal.record(
        session,
        actor,
        "document_known_alert",
        "document",
        refused.document_id,
        offered_for=str(refused.asset_id),
        rule="DOC-01",
    )


def read_document(  # noqa: PLR0917
    session: Session,
    vault: Vault,
    store: DocumentStore,
    actor: Actor,
    document_id: UUID,
    reasons: Mapping[str, str],
) -> tuple[Document, Iterator[bytes]]:
    """Give out a paper, and journal who read it, and why.

    Parameters
    ----------
    reasons
        What `registry.party.revealing` made of them.

    Raises
    ------
    NotFound, DocumentCorrupted, SealBroken, StoreUnreachable
    """
    document = get_document(session, document_id)
    content = open_content(vault, store, document)
    journal.record(
        session, actor, "document_read", "document", document.id,
        **reasons, roles=sorted(actor.roles), rows=1,
        kind=document.kind, asset_id=str(document.asset_id),
    )  # fmt: skip
    return document, content


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
    facts = {"source_registry": source_registry, "reference": reference}
    fire(session, actor, guards.MACHINE, document, "verify", given=facts, **facts)
    document.verified_by, document.verified_at = actor.subject, now()
    document.source_registry, document.source_reference = source_registry, reference
    session.flush()
    if document.replaces_id is not None:
        _replace(session, get_document(session, document.replaces_id, lock=True), document)
    return document


def _replace(session: Session, old: Document, newer: Document) -> None:
    event = {DocumentState.VERIFIED: "supersede", DocumentState.EXPIRED: "renew"}.get(old.state)
    if event is not None:
        given = {"newer": newer}
        fire(session, THE_SYSTEM, guards.MACHINE, old, event, given=given, by=str(newer.id))


def reject_document(session: Session, actor: Actor, document_id: UUID, *, reason: str) -> Document:
    """Record that the paper is not what it says.

    Raises
    ------
    Conflict
        ``transition_refused``: it does not wait for verification.
    """
    return _refuse(session, actor, document_id, "reject", reason)


def revoke_document(session: Session, actor: Actor, document_id: UUID, *, reason: str) -> Document:
    """Record that its issuer took a verified paper back, or that it was found forged.

    Raises
    ------
    Conflict
        ``transition_refused``: it is not verified.
    """
    return _refuse(session, actor, document_id, "revoke", reason)


def _refuse(session: Session, actor: Actor, document_id: UUID, event: str, reason: str) -> Document:
    document = get_document(session, document_id, lock=True)
    document.reason = reason
    fire(session, actor, guards.MACHINE, document, event, given={"reason": reason}, reason=reason)
    return document


def expire_due(session: Session) -> int:
    """Expire every verified paper whose last day is over, and return how many they were."""
    due = session.exec(
        select(Document)
        .where(col(Document.state) == DocumentState.VERIFIED, col(Document.valid_until) < today())
        .order_by(col(Document.id))
        .with_for_update()
    ).all()
    for document in due:
        fire(session, THE_SYSTEM, guards.MACHINE, document, "expire")
    return len(due)


def release(session: Session, asset_id: UUID) -> None:
    """Let the papers of a refused or withdrawn dossier go: another dossier may file them."""
    for document in list_documents(session, asset_id):
        document.released = True
    session.flush()


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
        document.kind for document in list_documents(session, asset_id) if counts(document)
    )


def counts(document: Document) -> bool:
    """Tell whether a paper is verified and has not run out."""
    lasts = document.valid_until is None or document.valid_until >= today()
    return document.state == DocumentState.VERIFIED and lasts

"""/v1/documents and an asset's own: what a right rests on."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import File, Form, Response, UploadFile
from fastapi.responses import StreamingResponse

from api.as_of import LegalSessionDep
from api.deps import ActorDep, ServicesDep, SessionDep, StoreDep, VaultDep
from api.idempotency import IDEMPOTENT
from api.reading import ReasonsDep
from api.revealing import REVEALING
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.common import ShortText
from api.schemas.evidence import DocumentRead, DocumentVerification
from registry.asset import service as assets
from registry.document import service as documents
from registry.document.intake import BytesUnderAnotherAsset, NewDocument

router = resource_router("evidence")

Kind = Annotated[str, Form(pattern=r"^[A-Z][A-Z0-9_]{1,63}$")]


@router.post(
    "/assets/{asset_id}/documents",
    status_code=201,
    dependencies=IDEMPOTENT,
)
def upload_document(
    asset_id: UUID,
    session: SessionDep,
    services: ServicesDep,
    actor: ActorDep,
    vault: VaultDep,
    store: StoreDep,
    kind: Kind,
    file: Annotated[UploadFile, File()],
    issuer: Annotated[ShortText | None, Form()] = None,
    issuer_ref: Annotated[ShortText | None, Form()] = None,
    issued_on: Annotated[date | None, Form()] = None,
    valid_until: Annotated[date | None, Form()] = None,
    replaces_id: Annotated[UUID | None, Form()] = None,
) -> DocumentRead:
    """File a paper of the asset; its type is read from its bytes."""
    # Without the characters that a terminal or a screen obeys: controls, changes of direction.
    label = "".join(filter(str.isprintable, file.filename or ""))[:200]
    new = NewDocument(
        kind=kind,
        file_name=label or kind,
        content=file.file,
        issuer=issuer,
        issuer_ref=issuer_ref,
        issued_on=issued_on,
        valid_until=valid_until,
        replaces_id=replaces_id,
    )
    asset = assets.get_asset(session, asset_id)
    try:
        document = documents.upload_document(session, vault, store, actor, asset, new)
    except BytesUnderAnotherAsset as refused:
        # In a transaction of its own: the alert stays when the request is taken back.
        with services.database.transaction() as alerting:
            documents.record_alert(alerting, actor, refused)
        raise
    return DocumentRead.of(vault, document)


@router.get("/assets/{asset_id}/documents", dependencies=REVEALING)
def list_documents(
    asset_id: UUID, session: LegalSessionDep, actor: ActorDep, vault: VaultDep
) -> list[DocumentRead]:
    """List the papers of an asset."""
    assets.get_asset(session, asset_id)
    rows = documents.list_documents(session, asset_id)
    return [DocumentRead.of(vault, row, actor) for row in rows]


@router.get("/documents/{document_id}", dependencies=REVEALING)
def get_document(
    document_id: UUID, session: LegalSessionDep, actor: ActorDep, vault: VaultDep
) -> DocumentRead:
    """Read what is known of a paper."""
    return DocumentRead.of(vault, documents.get_document(session, document_id), actor)


@router.get("/documents/{document_id}/content", response_class=Response)
def get_document_content(
    document_id: UUID,
    session: SessionDep,
    actor: ActorDep,
    vault: VaultDep,
    store: StoreDep,
    reasons: ReasonsDep,
) -> Response:
    """Download a paper, checked against its SHA-256; the journal keeps who did, and why."""
    document, content = documents.read_document(session, vault, store, actor, document_id, reasons)
    return StreamingResponse(
        content,
        media_type=document.media_type,
        headers={"Content-Disposition": f'attachment; filename="{document.id}"'},
    )


@router.post("/documents/{document_id}/verify", dependencies=IDEMPOTENT)
def verify_document(
    document_id: UUID,
    body: DocumentVerification,
    session: SessionDep,
    actor: ActorDep,
    vault: VaultDep,
) -> DocumentRead:
    """Record that the issuing registry confirmed the paper."""
    document = documents.verify_document(
        session,
        actor,
        document_id,
        source_registry=body.source_registry,
        reference=body.source_reference,
    )
    return DocumentRead.of(vault, document)


@router.post("/documents/{document_id}/reject", dependencies=IDEMPOTENT)
def reject_document(
    document_id: UUID, body: Reason, session: SessionDep, actor: ActorDep, vault: VaultDep
) -> DocumentRead:
    """Record that the paper is not what it says."""
    document = documents.reject_document(session, actor, document_id, reason=body.reason)
    return DocumentRead.of(vault, document)


@router.post("/documents/{document_id}/revoke", dependencies=IDEMPOTENT)
def revoke_document(
    document_id: UUID, body: Reason, session: SessionDep, actor: ActorDep, vault: VaultDep
) -> DocumentRead:
    """Record that a verified paper was taken back by its issuer, or found forged."""
    document = documents.revoke_document(session, actor, document_id, reason=body.reason)
    return DocumentRead.of(vault, document)

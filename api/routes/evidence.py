"""/v1/documents, /v1/valuations and an asset's own: what a right rests on."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import File, Form, Response, UploadFile

from api.deps import ActorDep, ReadSessionDep, SessionDep, StoreDep
from api.idempotency import IDEMPOTENT
from api.routes.router import resource_router
from api.schemas.assets import Reason
from api.schemas.common import ShortText, problems
from api.schemas.evidence import (
    DocumentRead,
    DocumentVerification,
    ValuationCreate,
    ValuationRead,
    WrapperCreate,
    WrapperRead,
)
from registry.asset import service as assets
from registry.document import service as documents
from registry.document.service import NewDocument
from registry.kernel.errors import NotFound
from registry.valuation import service as valuations
from registry.wrapper import service as wrappers

router = resource_router("evidence")

Kind = Annotated[str, Form(pattern=r"^[A-Z][A-Z0-9_]{1,63}$")]


@router.post(
    "/assets/{asset_id}/documents",
    status_code=201,
    dependencies=IDEMPOTENT,
    responses=problems(413),
)
def upload_document(
    asset_id: UUID,
    session: SessionDep,
    actor: ActorDep,
    store: StoreDep,
    kind: Kind,
    file: Annotated[UploadFile, File()],
    issuer: Annotated[ShortText | None, Form()] = None,
    issuer_ref: Annotated[ShortText | None, Form()] = None,
    issued_on: Annotated[date | None, Form()] = None,
    valid_until: Annotated[date | None, Form()] = None,
) -> DocumentRead:
    """File a paper of the asset; its type is read from its bytes."""
    # Without the characters that a terminal or a screen obeys: controls, changes of direction.
    label = "".join(filter(str.isprintable, file.filename or ""))[:200]
    new = NewDocument(
        kind=kind,
        file_name=label or kind,
        content=file.file.read(),
        issuer=issuer,
        issuer_ref=issuer_ref,
        issued_on=issued_on,
        valid_until=valid_until,
    )
    asset = assets.get_asset(session, asset_id)
    return DocumentRead.of(documents.upload_document(session, store, actor, asset, new))


@router.get("/assets/{asset_id}/documents")
def list_documents(asset_id: UUID, session: ReadSessionDep) -> list[DocumentRead]:
    """List the papers of an asset."""
    assets.get_asset(session, asset_id)
    return [DocumentRead.of(row) for row in documents.list_documents(session, asset_id)]


@router.get("/documents/{document_id}")
def get_document(document_id: UUID, session: ReadSessionDep) -> DocumentRead:
    """Read what is known of a paper."""
    return DocumentRead.of(documents.get_document(session, document_id))


@router.get("/documents/{document_id}/content", response_class=Response)
def get_document_content(document_id: UUID, session: ReadSessionDep, store: StoreDep) -> Response:
    """Download a paper, checked against its SHA-256."""
    document = documents.get_document(session, document_id)
    return Response(
        store.get(document.sha256),
        media_type=document.media_type,
        headers={"Content-Disposition": f'attachment; filename="{document.id}"'},
    )


@router.post("/documents/{document_id}/verify", dependencies=IDEMPOTENT)
def verify_document(
    document_id: UUID, body: DocumentVerification, session: SessionDep, actor: ActorDep
) -> DocumentRead:
    """Record that the issuing registry confirmed the paper."""
    document = documents.verify_document(
        session,
        actor,
        document_id,
        source_registry=body.source_registry,
        reference=body.source_reference,
    )
    return DocumentRead.of(document)


@router.post("/documents/{document_id}/reject", dependencies=IDEMPOTENT)
def reject_document(
    document_id: UUID, body: Reason, session: SessionDep, actor: ActorDep
) -> DocumentRead:
    """Record that the paper is not what it says."""
    document = documents.reject_document(session, actor, document_id, reason=body.reason)
    return DocumentRead.of(document)


@router.post("/assets/{asset_id}/valuations", status_code=201, dependencies=IDEMPOTENT)
def submit_valuation(
    asset_id: UUID, body: ValuationCreate, session: SessionDep, actor: ActorDep
) -> ValuationRead:
    """Submit an opinion of value."""
    valuation = valuations.submit_valuation(
        session,
        actor,
        asset_id,
        amount_paisa=body.value.paisa("/value/amount"),
        basis_date=body.basis_date,
        method=body.method,
        report_sha256=bytes.fromhex(body.report_sha256),
    )
    return ValuationRead.of(valuation)


@router.get("/assets/{asset_id}/valuations")
def list_valuations(asset_id: UUID, session: ReadSessionDep) -> list[ValuationRead]:
    """List every opinion on an asset."""
    assets.get_asset(session, asset_id)
    return [ValuationRead.of(row) for row in valuations.list_valuations(session, asset_id)]


@router.post("/valuations/{valuation_id}/accept", dependencies=IDEMPOTENT)
def accept_valuation(valuation_id: UUID, session: SessionDep, actor: ActorDep) -> ValuationRead:
    """Accept an opinion of somebody else's."""
    return ValuationRead.of(valuations.accept_valuation(session, actor, valuation_id))


@router.post("/assets/{asset_id}/wrapper", status_code=201, dependencies=IDEMPOTENT)
def name_wrapper(
    asset_id: UUID, body: WrapperCreate, session: SessionDep, actor: ActorDep
) -> WrapperRead:
    """Name the vehicle that holds the asset for its token holders."""
    wrapper = wrappers.name_wrapper(
        session,
        actor,
        asset_id,
        party_id=body.party_id,
        wrapper_type=body.type,
        register_of_record=body.register_of_record,
    )
    return WrapperRead.model_validate(wrapper)


@router.get("/assets/{asset_id}/wrapper")
def get_wrapper(asset_id: UUID, session: ReadSessionDep) -> WrapperRead:
    """Read which vehicle holds the asset."""
    wrapper = wrappers.find_wrapper(session, asset_id)
    if wrapper is None:
        raise NotFound("wrapper", f"of asset {asset_id}")
    return WrapperRead.model_validate(wrapper)

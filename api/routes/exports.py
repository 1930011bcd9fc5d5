"""/v1/exports: a cap table as a file, written by a worker, with its block and its hash."""

from __future__ import annotations

import base64
from uuid import UUID

from fastapi import Response
from fastapi.responses import StreamingResponse

from api.as_of import read_as_of, require_past
from api.deps import (
    ActorDep,
    FinalityDep,
    ReadSessionDep,
    ServicesDep,
    SessionDep,
    StoreDep,
    VaultDep,
)
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.common import Page, hash_of
from api.schemas.exports import ExportRead, NewExport
from api.token_at import WhichDep, find_named, needed_on
from registry.captable.branches import known_block_at
from registry.export import service as exports
from registry.export.models import CapTableExport
from registry.export.writing import MEDIA_TYPES, SUFFIXES

router = resource_router("exports")


@router.post("/tokens/{token_id}/exports", status_code=202, dependencies=IDEMPOTENT)
def open_export(
    which: WhichDep,
    body: NewExport,
    needed: FinalityDep,
    session: SessionDep,
    services: ServicesDep,
    actor: ActorDep,
    response: Response,
) -> ExportRead:
    """Ask for the cap table at a block as a file; a worker writes it."""
    require_past(body.known_at)
    token = find_named(session, which)
    block = known_block_at(session, token.chain_id, read_as_of(body.as_of), body.known_at)
    job = exports.open_export(session, actor, token, block, body.format, known_at=body.known_at)
    response.headers["Location"] = f"/v1/exports/{job.id}"
    needed = needed_on(session, services, token.chain_id, needed)
    return ExportRead.of(job, exports.block_of(session, job), needed)


@router.get("/tokens/{token_id}/exports")
def list_exports(
    which: WhichDep,
    needed: FinalityDep,
    session: ReadSessionDep,
    services: ServicesDep,
    paging: PagingDep,
) -> Page[ExportRead]:
    """List the exports of a token in the order in which they were asked for."""
    token = find_named(session, which)
    needed = needed_on(session, services, token.chain_id, needed)
    rows = exports.list_exports(session, token, after=paging.after_id, limit=paging.fetch)
    return paging.page(rows, lambda row: str(row.id), lambda row: _shown(session, row, needed))


@router.get("/exports/{export_id}")
def get_export(
    export_id: UUID, needed: FinalityDep, session: ReadSessionDep, services: ServicesDep
) -> ExportRead:
    """See how far an export is, and what its file must be."""
    job = exports.get_export(session, export_id)
    return _shown(session, job, needed_on(session, services, job.chain_id, needed))


@router.get("/exports/{export_id}/content", response_class=Response)
def get_export_content(
    export_id: UUID,
    needed: FinalityDep,
    session: ReadSessionDep,
    services: ServicesDep,
    vault: VaultDep,
    store: StoreDep,
) -> Response:
    """Take the file, as it lies in the store: a slow reader holds no connection of ours."""
    job = exports.get_export(session, export_id)
    content = exports.open_file(session, vault, store, job)
    said = _shown(session, job, needed_on(session, services, job.chain_id, needed))
    return StreamingResponse(
        content, media_type=MEDIA_TYPES[job.format], headers=_headers(job, said)
    )


def _headers(job: CapTableExport, said: ExportRead) -> dict[str, str]:
    assert job.sha256 is not None, "an export that is done has its hash"
    name = f"cap_table_{job.block_number}_{job.block_hash.hex()[:16]}.{SUFFIXES[job.format]}"
    return {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Length": str(job.size_bytes),
        "ETag": f'"{job.sha256.hex()}"',
        "Repr-Digest": f"sha-256=:{base64.b64encode(job.sha256).decode()}:",  # RFC 9530
        "Milkiyat-Rows": str(job.total),
        "Milkiyat-Block-Number": str(job.block_number),
        "Milkiyat-Block-Hash": hash_of(job.block_hash),
        "Milkiyat-Block-Finality": said.as_of_block.finality,
    }


def _shown(session: ReadSessionDep, job: CapTableExport, needed: int) -> ExportRead:
    return ExportRead.of(job, exports.block_of(session, job), needed)

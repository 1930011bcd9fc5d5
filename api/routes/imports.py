"""/v1/assets/imports: many assets in one file, and what became of each row."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import File, Form, Response, UploadFile

from api.deps import ActorDep, ReadSessionDep, SessionDep, StoreDep, VaultDep
from api.idempotency import IDEMPOTENT
from api.pagination import PagingDep
from api.routes.router import resource_router
from api.schemas.common import Page, ShortText
from api.schemas.imports import ImportRead, ImportRowRead
from registry.asset.models import AssetClass
from registry.bulk import service as imports
from registry.bulk.formats import FileFormat
from registry.bulk.mapping import parse_mapping
from registry.bulk.models import Outcome
from registry.bulk.service import NewImport

router = resource_router("imports")

PATH = "/assets/imports"
MAX_MAPPING = 100_000
FORM_ROOM_BYTES = 512 * 1024
"""What a form may hold besides its file."""


@router.post(PATH, status_code=202, dependencies=IDEMPOTENT)
def open_import(
    session: SessionDep,
    actor: ActorDep,
    vault: VaultDep,
    store: StoreDep,
    response: Response,
    file: Annotated[UploadFile, File()],
    asset_class: Annotated[AssetClass, Form()],
    title_regime: Annotated[ShortText, Form()],
    file_format: Annotated[FileFormat | None, Form(alias="format")] = None,
    mapping: Annotated[str | None, Form(max_length=MAX_MAPPING)] = None,
    code_prefix: Annotated[ShortText | None, Form()] = None,
    dry_run: Annotated[bool, Form()] = False,
) -> ImportRead:
    """Hand a file of assets in; a worker takes it up, row by row."""
    new = NewImport(
        file=file.file,
        asset_class=asset_class,
        title_regime=title_regime,
        file_format=file_format,
        mapping=parse_mapping(mapping) if mapping is not None else None,
        code_prefix=code_prefix,
        dry_run=dry_run,
    )
    job = imports.open_import(session, vault, store, actor, new)
    response.headers["Location"] = f"/v1{PATH}/{job.id}"
    return ImportRead.of(job)


@router.get(PATH)
def list_imports(session: ReadSessionDep, paging: PagingDep) -> Page[ImportRead]:
    """List imports in the order in which they were handed in."""
    rows = imports.list_imports(session, after=paging.after_id, limit=paging.fetch)
    return paging.page(rows, lambda row: str(row.id), ImportRead.of)


@router.get(f"{PATH}/{{import_id}}")
def get_import(import_id: UUID, session: ReadSessionDep) -> ImportRead:
    """See how far an import is, and what it refused so far."""
    return ImportRead.of(imports.get_import(session, import_id))


@router.get(f"{PATH}/{{import_id}}/rows")
def list_import_rows(
    import_id: UUID, session: ReadSessionDep, paging: PagingDep, outcome: Outcome | None = None
) -> Page[ImportRowRead]:
    """List what became of the rows, in the order of the file."""
    imports.get_import(session, import_id)
    after = int(paging.after) if paging.after else 0
    rows = imports.list_rows(session, import_id, outcome=outcome, after=after, limit=paging.fetch)
    return paging.page(rows, lambda row: str(row.row_no), ImportRowRead.of)


@router.post(f"{PATH}/{{import_id}}/cancel", dependencies=IDEMPOTENT)
def cancel_import(import_id: UUID, session: SessionDep, actor: ActorDep) -> ImportRead:
    """Work no further rows; what is recorded stays."""
    return ImportRead.of(imports.cancel_import(session, actor, import_id))

"""Use cases on bulk imports: hand a file in, see how it goes, call it off."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, BinaryIO
from uuid import UUID

from sqlmodel import Session, col, select

from registry.asset.classes import class_of
from registry.asset.models import AssetClass
from registry.bulk.codes import check_prefix
from registry.bulk.formats import FileFormat, read_rows, sniff_format
from registry.bulk.mapping import AS_IT_IS, RowMapping, check_columns, read_mapping
from registry.bulk.models import OPEN_STATES, BulkImport, ImportRow, ImportState, Outcome
from registry.bulk.source import read_pieces
from registry.bulk.stored import store_file
from registry.document.store import DocumentStore
from registry.journal import service as journal
from registry.jurisdiction.profiles import JURISDICTIONS
from registry.kernel.actor import Actor
from registry.kernel.clock import now
from registry.kernel.errors import Conflict, Forbidden, Invalid
from registry.kernel.rows import get_row, page_after
from registry.kernel.vault import Vault

MAX_DRY_RUN_ROWS = 20_000
MAX_DRY_RUN_CHARACTERS = 32 * 1024 * 1024
"""A dry run holds all of its rows at once: what it accepts stands nowhere else."""

_HASHED_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class NewImport:
    """A file to import.

    Parameters
    ----------
    file_format
        Without it, told from the file's beginning.
    mapping
        Without it, rows are dossiers as they are.
    code_prefix
        Three letters with which codes begin that rows do not bring.
    """

    file: BinaryIO
    asset_class: AssetClass
    title_regime: str
    file_format: FileFormat | None = None
    mapping: Mapping[str, Any] | None = None
    code_prefix: str | None = None
    dry_run: bool = False


def open_import(
    session: Session, vault: Vault, store: DocumentStore, actor: Actor, new: NewImport
) -> BulkImport:
    """Read the file through once, and put it where a worker takes it up.

    Raises
    ------
    Invalid
        The file as a whole, the mapping or the prefix is wrong; nothing is recorded then.
    """
    spec = class_of(new.asset_class)
    if not any(new.title_regime in item.regimes_of(spec.subject) for item in JURISDICTIONS):
        raise Invalid(
            "regime_not_applicable",
            f"{new.asset_class} is nowhere held under {new.title_regime}.",
            field="/title_regime",
        )
    if new.code_prefix is not None:
        check_prefix(new.code_prefix)
    stated = AS_IT_IS if new.mapping is None else new.mapping
    mapping = read_mapping(stated, spec)
    if new.code_prefix is None and "code" not in stated:
        raise Invalid(
            "code_prefix_missing",
            "The mapping takes no code from the file, and there is no prefix to allot codes under.",
            field="/code_prefix",
        )
    file_format, total = _scan(new, mapping)
    sha256, size = _measure(new.file)
    job = BulkImport(
        maker=actor.subject,
        file_format=file_format,
        asset_class=new.asset_class,
        title_regime=new.title_regime,
        mapping=dict(stated),
        code_prefix=new.code_prefix,
        dry_run=new.dry_run,
        sha256=sha256,
        size_bytes=size,
        total=total,
    )
    store_file(vault, store, job, new.file)
    session.add(job)
    session.flush()
    facts = {"sha256": sha256.hex(), "rows": total, "dry_run": new.dry_run}
    journal.record(session, actor, "import_opened", "bulk_import", job.id, **facts)
    return job


def _scan(new: NewImport, mapping: RowMapping) -> tuple[FileFormat, int]:
    """Read the whole file, and return its format and how many rows it has."""
    pieces: Iterator[str] = read_pieces(new.file)
    beginning = next(pieces, "")
    file_format = new.file_format or sniff_format(beginning)
    total = characters = 0
    for row in read_rows(file_format, chain([beginning], pieces)):
        total, characters = row.no, characters + row.size
        if total == 1 and file_format is FileFormat.CSV and row.fields is not None:
            check_columns(mapping, list(row.fields))
    if total == 0:
        raise Invalid("import_empty", "The file has no rows.", field="/file")
    if new.dry_run and (total > MAX_DRY_RUN_ROWS or characters > MAX_DRY_RUN_CHARACTERS):
        raise Invalid(
            "import_dry_run_too_long",
            f"A dry run takes {MAX_DRY_RUN_ROWS} rows and {MAX_DRY_RUN_CHARACTERS} characters at"
            f" most; the file has {total} rows and {characters} characters.",
            field="/dry_run",
            remedy="Try a part of the file.",
        )
    return file_format, total


def _measure(file: BinaryIO) -> tuple[bytes, int]:
    """Return the file's SHA-256 and size, and leave it at its beginning."""
    digest, size = hashlib.sha256(), 0
    file.seek(0)
    while chunk := file.read(_HASHED_BYTES):
        digest.update(chunk)
        size += len(chunk)
    file.seek(0)
    return digest.digest(), size


def get_import(session: Session, import_id: UUID, *, lock: bool = False) -> BulkImport:
    """Return an import.

    Raises
    ------
    NotFound
        There is none of that id.
    """
    return get_row(session, BulkImport, import_id, kind="import", lock=lock)


def list_imports(session: Session, *, after: UUID | None, limit: int) -> Sequence[BulkImport]:
    """List imports in the order in which they were handed in."""
    query = select(BulkImport)
    return session.exec(page_after(query, col(BulkImport.id), after=after, limit=limit)).all()


def list_rows(
    session: Session, import_id: UUID, *, outcome: Outcome | None, after: int, limit: int
) -> Sequence[ImportRow]:
    """List what became of the rows, in the order of the file."""
    query = select(ImportRow).where(
        col(ImportRow.import_id) == import_id, col(ImportRow.row_no) > after
    )
    if outcome is not None:
        query = query.where(col(ImportRow.outcome) == outcome)
    return session.exec(query.order_by(col(ImportRow.row_no)).limit(limit)).all()


def cancel_import(session: Session, actor: Actor, import_id: UUID) -> BulkImport:
    """Work no further rows; what is recorded stays, as drafts of the maker's.

    Raises
    ------
    Forbidden
        ``not_the_maker``.
    Conflict
        ``import_ended``.
    """
    job = get_import(session, import_id, lock=True)
    if job.maker != actor.subject:
        raise Forbidden("not_the_maker", "Only its maker calls an import off.")
    if job.state not in OPEN_STATES:
        raise Conflict("import_ended", f"The import is {job.state} already.")
    job.state, job.ended_at = ImportState.CANCELLED, now()
    session.add(job)
    session.flush()
    journal.record(session, actor, "import_cancelled", "bulk_import", job.id, done=job.done)
    return job

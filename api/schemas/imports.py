"""Bulk imports over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from api.schemas.common import Read
from api.schemas.progress import Progress
from registry.asset.models import AssetClass
from registry.bulk.formats import FileFormat
from registry.bulk.models import OPEN_STATES, BulkImport, ImportRow, ImportState, Outcome


class ImportProgress(Progress):
    """How far the file is worked.

    `rows_per_s` counts from the first batch to the last; `eta_s` is what is left at that rate.
    """

    @classmethod
    def of(cls, job: BulkImport) -> Self:
        seconds = None
        if job.started_at is not None and job.worked_at is not None:
            seconds = (job.worked_at - job.started_at).total_seconds()
        return cls.measured(job.done, job.total, seconds, is_open=job.state in OPEN_STATES)


class ImportCounts(Read):
    """How many rows were accepted and refused; `reasons` are codes of errors and ids of rules."""

    accepted: int
    refused: int
    reasons: dict[str, int]


class ImportFault(Read):
    """Why an import as a whole ended early."""

    code: str
    detail: str
    remedy: str | None = None


class ImportRead(Read):
    """A file that is, or was, imported."""

    id: UUID
    state: ImportState
    file_format: FileFormat
    asset_class: AssetClass
    title_regime: str
    code_prefix: str | None
    dry_run: bool
    sha256: str
    size_bytes: int
    maker: str
    progress: ImportProgress
    counts: ImportCounts
    problem: ImportFault | None
    recorded_at: datetime
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, job: BulkImport) -> Self:
        return cls(
            **job.model_dump(exclude={"sha256", "problem"}),
            sha256=job.sha256.hex(),
            progress=ImportProgress.of(job),
            counts=ImportCounts.model_validate(job),
            problem=ImportFault.model_validate(job.problem) if job.problem else None,
        )


class RowProblem(Read):
    """One reason of a refusal, or one warning; `pointer` is where in the dossier."""

    code: str
    rule: str | None
    severity: str
    detail: str
    pointer: str | None


class ImportRowRead(Read):
    """What became of one row, counted from 1 and without a header."""

    row: int
    outcome: Outcome
    asset_id: UUID | None
    asset_code: str | None
    problems: list[RowProblem]

    @classmethod
    def of(cls, row: ImportRow) -> Self:
        return cls(**row.model_dump(exclude={"row_no", "import_id"}), row=row.row_no)

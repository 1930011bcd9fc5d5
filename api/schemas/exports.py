"""Exports of cap tables over HTTP."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from api.schemas.common import AsOfBlockRead, Body, Read
from registry.captable.blocks import AsOfBlock
from registry.export.models import OPEN_STATES, CapTableExport, ExportFormat, ExportState
from registry.kernel.clock import now

_TENTH = Decimal("0.1")


class NewExport(Body):
    """What to export: `as_of` is an RFC 3339 time or block:<number>; without it, now."""

    format: ExportFormat
    as_of: Annotated[str | None, Field(max_length=64)] = None


class ExportProgress(Read):
    """How many holders are written; `eta_s` is what is left at the rate so far."""

    done: int
    total: int
    percent: Decimal
    rows_per_s: Decimal | None
    eta_s: Decimal | None

    @classmethod
    def of(cls, job: CapTableExport) -> Self:
        rate = None
        if job.started_at is not None and job.done:
            seconds = Decimal(str(((job.ended_at or now()) - job.started_at).total_seconds()))
            rate = job.done / seconds if seconds > 0 else None
        left = (job.total - job.done) / rate if rate and job.state in OPEN_STATES else None
        whole = 100 if not job.total else Decimal(100 * job.done) / job.total
        return cls(
            done=job.done,
            total=job.total,
            percent=Decimal(whole).quantize(_TENTH),
            rows_per_s=rate.quantize(_TENTH) if rate is not None else None,
            eta_s=left.quantize(_TENTH) if left is not None else None,
        )


class ExportFault(Read):
    """Why an export failed."""

    code: str
    detail: str


class ExportRead(Read):
    """A cap table as a file: its block, how far it is written, and what the file must be.

    `sha256` is the hash of the whole file. `as_of_block.finality` is `orphaned` where a reorg has
    taken the block since: then the file tells what the register knew, not what the chain says.
    """

    id: UUID
    recorded_at: datetime
    token_id: UUID
    format: ExportFormat
    state: ExportState
    progress: ExportProgress
    sha256: str | None
    size_bytes: int | None
    problem: ExportFault | None
    expires_at: datetime | None
    as_of_block: AsOfBlockRead

    @classmethod
    def of(cls, job: CapTableExport, block: AsOfBlock, needed: int) -> Self:
        return cls(
            id=job.id,
            recorded_at=job.recorded_at,
            token_id=job.tokenization_id,
            format=job.format,
            state=job.state,
            progress=ExportProgress.of(job),
            sha256=job.sha256.hex() if job.sha256 else None,
            size_bytes=job.size_bytes,
            problem=ExportFault.model_validate(job.problem) if job.problem else None,
            expires_at=job.expires_at,
            as_of_block=AsOfBlockRead.of(block, needed),
        )

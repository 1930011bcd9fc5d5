"""Exports of cap tables over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from api.schemas.common import AsOfBlockRead, Body, Instant, Read, address_of
from api.schemas.progress import Progress
from registry.captable.blocks import AsOfBlock
from registry.export.models import OPEN_STATES, CapTableExport, ExportFormat, ExportState
from registry.kernel.clock import now


class NewExport(Body):
    """What to export: `as_of` is an RFC 3339 time or block:<number>; without it, now.

    With `known_at` it is what the register knew at that time, as of the cap table itself: after a
    reorg, the branch of then.
    """

    format: ExportFormat
    as_of: Annotated[str | None, Field(max_length=64)] = None
    known_at: Instant | None = None


class ExportProgress(Progress):
    """How many holders are written; `eta_s` is what is left at the rate so far."""

    @classmethod
    def of(cls, job: CapTableExport) -> Self:
        until = job.ended_at or now()
        seconds = (until - job.started_at).total_seconds() if job.started_at is not None else None
        return cls.measured(job.done, job.total, seconds, is_open=job.state in OPEN_STATES)


class ExportFault(Read):
    """Why an export failed."""

    code: str
    detail: str


class ExportRead(Read):
    """A cap table as a file: its block, how far it is written, and what the file must be.

    `sha256` is the hash of the whole file. `as_of_block.finality` is `orphaned` where a reorg has
    taken the block since: then the file tells what the register knew, not what the chain says.
    It is seen from today, also where `known_at` asked for what was known then.
    `as_of_block.degraded` also says that the token was read again since the file was written: its
    content is then refused.
    `token_id` is null for a token that was adopted: `chain` and `address` name it.
    """

    id: UUID
    recorded_at: datetime
    token_id: UUID | None
    chain: str
    address: str
    format: ExportFormat
    state: ExportState
    progress: ExportProgress
    sha256: str | None
    size_bytes: int | None
    problem: ExportFault | None
    expires_at: datetime | None
    known_at: datetime | None
    as_of_block: AsOfBlockRead

    @classmethod
    def of(cls, job: CapTableExport, block: AsOfBlock, needed: int) -> Self:
        return cls(
            id=job.id,
            recorded_at=job.recorded_at,
            token_id=job.tokenization_id,
            chain=f"eip155:{job.chain_id}",
            address=address_of(job.token_address),
            format=job.format,
            state=job.state,
            progress=ExportProgress.of(job),
            sha256=job.sha256.hex() if job.sha256 else None,
            size_bytes=job.size_bytes,
            problem=ExportFault.model_validate(job.problem) if job.problem else None,
            expires_at=job.expires_at,
            known_at=job.known_at,
            as_of_block=AsOfBlockRead.of(block, needed),
        )

"""Exports of a cap table: which block, how far it is written, and what the file is."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, binary, enumeration, instant


class ExportFormat(StrEnum):
    CSV = "csv"
    OCF = "ocf"


class ExportState(StrEnum):
    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"


OPEN_STATES = (ExportState.WAITING, ExportState.RUNNING)


class CapTableExport(Record, table=True):
    """One cap table as a file, as of one block, which it names by its hash.

    Parameters
    ----------
    tokenization_id, token_address
        Which token, on the chain `chain_id`; an adopted one has no tokenization.
    known_at
        What the register knew then of the branch up to the block is what is written, whatever a
        reorg took since; None for today's chain.
    total, done
        Holders, as they were counted when it was asked for, and anew where it is written; and how
        many of them are.
    sha256, size_bytes
        Of the file; None until it is whole.
    stored_as, sealed
        Where it lies, sealed, in the document store, until `expires_at`.
    """

    __tablename__ = "cap_table_export"
    __table_args__ = (
        CheckConstraint("done >= 0 AND done <= total", name="ck_cap_table_export_counts"),
        CheckConstraint(
            "(state = 'DONE') = (stored_as IS NOT NULL)", name="ck_cap_table_export_file"
        ),
        Index("ix_cap_table_export_token", "chain_id", "token_address"),
        Index(
            "ix_cap_table_export_open",
            "id",
            postgresql_where=text("state IN ('WAITING', 'RUNNING')"),
        ),
    )

    maker: str
    tokenization_id: UUID | None = Field(default=None, foreign_key="tokenization.id", index=True)
    token_address: bytes = binary()
    format: ExportFormat = enumeration(ExportFormat)
    state: ExportState = enumeration(ExportState, default=ExportState.WAITING)
    chain_id: int = bigint()
    block_number: int = bigint()
    block_hash: bytes = binary()
    mined_at: AwareDatetime = instant(nullable=False)
    known_at: AwareDatetime | None = instant()
    total: int = bigint()
    done: int = bigint(default=0)
    size_bytes: int | None = bigint(nullable=True, default=None)
    sha256: bytes | None = binary(nullable=True, default=None)
    stored_as: bytes | None = binary(nullable=True, default=None)
    sealed: bytes | None = binary(nullable=True, default=None)
    problem: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True)
    )
    started_at: AwareDatetime | None = instant()
    ended_at: AwareDatetime | None = instant()
    expires_at: AwareDatetime | None = instant()

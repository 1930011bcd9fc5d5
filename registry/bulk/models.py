"""Bulk imports: a file of assets, how far it is worked, and what became of each of its rows."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Column, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

from registry.asset.models import AssetClass
from registry.bulk.formats import FileFormat
from registry.kernel.columns import Record, bigint, binary, document, enumeration, instant


class ImportState(StrEnum):
    WAITING = "WAITING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


OPEN_STATES = (ImportState.WAITING, ImportState.RUNNING)


class Outcome(StrEnum):
    ACCEPTED = "accepted"
    REFUSED = "refused"


class BulkImport(Record, table=True):
    """One file, and how far it is worked.

    `done` is the cursor: rows up to it have their results, and their assets, committed; whoever
    works on begins behind it. The file lies sealed in the document store, under `stored_as`, until
    the import ends: it names people. `reasons` counts refused rows by the code, or the rule, that
    refused them.
    """

    __tablename__ = "bulk_import"
    __table_args__ = (
        CheckConstraint(
            "done = accepted + refused AND done <= total", name="ck_bulk_import_counts"
        ),
        Index(
            "ix_bulk_import_open",
            "id",
            postgresql_where=text("state IN ('WAITING', 'RUNNING')"),
        ),
    )

    maker: str
    state: ImportState = enumeration(ImportState, default=ImportState.WAITING)
    file_format: FileFormat = enumeration(FileFormat)
    asset_class: AssetClass = enumeration(AssetClass)
    title_regime: str
    mapping: dict[str, Any] = document()
    code_prefix: str | None = None
    dry_run: bool = False
    sha256: bytes = binary()
    size_bytes: int = bigint()
    stored_as: bytes | None = binary(nullable=True, default=None)
    sealed: bytes | None = binary(nullable=True, default=None)
    total: int
    done: int = 0
    accepted: int = 0
    refused: int = 0
    reasons: dict[str, int] = document(default_factory=dict)
    problem: dict[str, Any] | None = Field(
        default=None, sa_column=Column(JSONB(none_as_null=True), nullable=True)
    )
    started_at: AwareDatetime | None = instant()
    worked_at: AwareDatetime | None = instant()
    ended_at: AwareDatetime | None = instant()


class ImportRow(SQLModel, table=True):
    """What became of one row of the file.

    `asset_id` is no foreign key: it is written with its asset in one transaction, and bulk
    imports would pay for a look-up in every row. `problems` are all reasons of a refusal, and
    the warnings of a row that was accepted.
    """

    __tablename__ = "bulk_import_row"

    import_id: UUID = Field(foreign_key="bulk_import.id", primary_key=True)
    row_no: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    outcome: Outcome = enumeration(Outcome)
    asset_id: UUID | None = None
    asset_code: str | None = None
    problems: list[dict[str, Any]] = document(default_factory=list)


class CodeSeries(SQLModel, table=True):
    """Where the codes that imports allot under one prefix go on."""

    __tablename__ = "asset_code_series"

    prefix: str = Field(primary_key=True)
    next_number: int = bigint()

"""What the register knew, and since when: an image of every legal row after every change.

Rows of both tables are written by triggers alone, are only ever added, and are read back through
the views of the schema `past` (`registry.history.install`).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import Column, DateTime, Index, Uuid, literal_column, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

CURRENT_RECORDING = text("current_recording()")


class Recording(SQLModel, table=True):
    """The one moment of everything that one transaction recorded.

    The database sets `recorded_at` at COMMIT, when the transaction holds every lock that it
    needed: of two that change one record, the later one has the later moment. It is null while
    the transaction runs.
    """

    id: UUID = Field(primary_key=True)
    recorded_at: AwareDatetime | None = Field(
        default=None, sa_type=DateTime(timezone=True), nullable=True
    )


class LegalHistory(SQLModel, table=True):
    """What one legal row looked like after one change.

    `image` holds its columns and is sealed with the journal. `private` holds those that may name
    a person, and stays here; sealed is their hash with `private_salt`, which images from before
    there was one have not. All are empty for a row that was deleted.
    """

    __tablename__ = "legal_history"
    __table_args__ = (
        Index("ix_legal_history_row", "row_id"),
        Index("ix_legal_history_parent", "parent_id"),
        # Who ever claimed to be the thing with a natural key.
        Index(
            "ix_legal_history_key",
            text("(image ->> 'key')"),
            postgresql_where=text("table_name = 'underlying_key'"),
        ),
        # Which images of sealed rows are about one of them.
        Index(
            "ix_legal_history_rows",
            literal_column("jsonb_path_query_array(image, '$.rows.keyvalue().key')").label("rows"),
            postgresql_using="gin",
            postgresql_ops={"rows": "jsonb_path_ops"},
            postgresql_where=text("op = 'ROWS'"),
        ),
    )

    id: UUID = Field(sa_column=Column(Uuid, primary_key=True, server_default=text("uuidv7()")))
    table_name: str
    row_id: UUID
    parent_id: UUID | None = None
    op: str
    # Not a foreign key: `current_recording` is the only writer, and bulk imports would pay for a
    # look-up in every row.
    recording_id: UUID = Field(
        sa_column=Column(Uuid, nullable=False, server_default=CURRENT_RECORDING)
    )
    image: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    private: dict[str, Any] | None = Field(default=None, sa_column=Column(JSONB(none_as_null=True)))
    private_salt: UUID | None = None

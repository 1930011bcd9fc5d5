"""The journal: what was done, by whom, to what. Rows are only ever added (AUD-01)."""

from __future__ import annotations

from typing import Any

from sqlmodel import Field

from registry.kernel.columns import Record, document


class JournalEntry(Record, table=True):
    """One legal or personal-data act. The database refuses UPDATE and DELETE."""

    __tablename__ = "journal_entry"

    actor: str = Field(index=True)
    act: str
    subject_kind: str
    subject_id: str = Field(index=True)
    facts: dict[str, Any] = document(default_factory=dict)

"""The journal: what was done, by whom, to what. Rows are only ever added (AUD-01).

Whoever acts adds an entry and waits for nobody. The database queues each entry, and each image of
a legal row (`registry.history`), in `journal_pending`; the sealer takes them from there, gives
them numbers and hashes them into a Merkle tree (`registry.journal.sealer`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import Column, Index, String, Table, Uuid, literal_column, text
from sqlmodel import Field, SQLModel

from registry.history.models import CURRENT_RECORDING
from registry.kernel.columns import Record, bigint, binary, document, enumeration, instant

READING = "act IN ('personal_data_read', 'report_read', 'document_read', 'kyc_paper_read')"
"""Which entries tell of a reading: who looked at what, and why."""


class JournalEntry(Record, table=True):
    """One legal or personal-data act. The database refuses UPDATE and DELETE.

    `recording_id` names the transaction, whose images of legal rows carry the same one. It is
    null in entries older than those.
    """

    __tablename__ = "journal_entry"
    __table_args__ = (
        Index("ix_journal_entry_reading", "id", postgresql_where=text(READING)),
        Index("ix_journal_entry_read", "subject_id", "id", postgresql_where=text(READING)),
        # Of a redemption there are as many as it has holders.
        Index(
            "ix_journal_entry_payout",
            text("(facts ->> 'payout')"),
            postgresql_where=text("act = 'redemption_payout_paid'"),
        ),
        # Of whom it told.
        Index(
            "ix_journal_entry_parties",
            literal_column("(facts -> 'parties')").label("parties"),
            postgresql_using="gin",
            postgresql_ops={"parties": "jsonb_path_ops"},
            postgresql_where=text(READING),
        ),
    )

    actor: str = Field(index=True)
    act: str
    subject_kind: str
    subject_id: str = Field(index=True)
    facts: dict[str, Any] = document(default_factory=dict)
    recording_id: UUID | None = Field(
        default=None, sa_column=Column(Uuid, nullable=True, server_default=CURRENT_RECORDING)
    )


class LeafKind(StrEnum):
    """Where the sealed row stands."""

    ACT = "act"
    FACT = "fact"


class JournalLeaf(SQLModel, table=True):
    """One sealed row: its number, from 1, and the hash of its canonical JSON (RFC 6962 leaf)."""

    __tablename__ = "journal_leaf"

    seq: int = bigint(primary_key=True, sa_column_kwargs={"autoincrement": False})
    kind: LeafKind = enumeration(LeafKind)
    entry_id: UUID = Field(unique=True)
    leaf_hash: bytes = binary()


class JournalNode(SQLModel, table=True):
    """The hash of a whole subtree of 2^level leaves, kept for every eighth level.

    With these and the leaves, any proof needs two or three small ranges of rows.
    """

    __tablename__ = "journal_node"

    level: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    position: int = bigint(primary_key=True, sa_column_kwargs={"autoincrement": False})
    node_hash: bytes = binary()


class JournalSeal(SQLModel, table=True):
    """The tree's head after one batch.

    Parameters
    ----------
    tree_size
        Leaves in the tree; the batch is `first_seq` to `tree_size`.
    root
        Merkle tree hash of all of them (RFC 6962, section 2.1).
    previous_root
        Root of the head before; that of the empty tree for the first batch.
    edge
        Hashes of the whole subtrees that make up the tree, from the left: what the next batch
        is appended to.
    """

    __tablename__ = "journal_seal"

    tree_size: int = bigint(primary_key=True, sa_column_kwargs={"autoincrement": False})
    first_seq: int = bigint(unique=True)
    root: bytes = binary()
    previous_root: bytes = binary()
    edge: bytes = binary()
    sealed_at: AwareDatetime = instant(nullable=False)


PENDING = Table(
    "journal_pending",
    SQLModel.metadata,
    Column("kind", String, nullable=False),
    Column("entry_id", Uuid, nullable=False),
)
"""What waits for its seal. A plain queue: no key, no index, filled by triggers."""

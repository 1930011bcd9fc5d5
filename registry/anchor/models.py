"""Anchors: which roots of the journal were to go on chain, by which operation."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, binary


class JournalAnchor(Record, table=True):
    """A root of the journal that goes on chain.

    Block, transaction and finality are not kept here: the chain's own event says them
    (`registry.anchor.reading`), so that a reorg needs nothing to be corrected.

    Parameters
    ----------
    tree_size, root
        Of the seal that is anchored.
    operation_id
        What carries it; after one that failed, the one in its place.
    """

    __tablename__ = "journal_anchor"
    __table_args__ = (
        UniqueConstraint("chain_id", "tree_size", name="uq_journal_anchor_size"),
        CheckConstraint("octet_length(root) = 32", name="ck_journal_anchor_root"),
    )

    chain_id: int = bigint()
    tree_size: int = bigint()
    root: bytes = binary()
    operation_id: UUID = Field(foreign_key="operation.id", unique=True)

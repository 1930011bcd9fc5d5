"""Roots of the journal that go on chain."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0041"
down_revision = "0042"
branch_labels = None
depends_on = None


def _record() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
    ]


def _anchors() -> None:
    op.create_table(
        "journal_anchor",
        *_record(),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("tree_size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("operation_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("octet_length(root) = 32", name="ck_journal_anchor_root"),
        sa.ForeignKeyConstraint(["operation_id"], ["operation.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("chain_id", "tree_size", name="uq_journal_anchor_size"),
        sa.UniqueConstraint("operation_id"),
    )


def upgrade() -> None:
    _anchors()


def downgrade() -> None:
    op.drop_table("journal_anchor")

"""Roots of the journal that go on chain, and certificates whose hashes are under them."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0041"
down_revision = "0042"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString
_HOLDING = (
    "(kind = 'HOLDING') = (tokenization_id IS NOT NULL)"
    " AND (tokenization_id IS NULL) = (investor_id IS NULL)"
    " AND (tokenization_id IS NULL) = (chain_id IS NULL)"
    " AND (tokenization_id IS NULL) = (block_number IS NULL)"
    " AND (tokenization_id IS NULL) = (block_hash IS NULL)"
)


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


def _certificates() -> None:
    op.create_table(
        "certificate",
        *_record(),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("title_id", sa.Uuid(), nullable=False),
        sa.Column("title_version_id", sa.Uuid(), nullable=False),
        sa.Column("tokenization_id", sa.Uuid(), nullable=True),
        sa.Column("investor_id", sa.Uuid(), nullable=True),
        sa.Column("chain_id", sa.BigInteger(), nullable=True),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.Column("block_hash", sa.LargeBinary(), nullable=True),
        sa.Column("told", postgresql.JSONB(), nullable=False),
        sa.Column("content_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_with", sa.LargeBinary(), nullable=False),
        sa.Column("issued_by", _TEXT(), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_by", _TEXT(), nullable=True),
        sa.CheckConstraint(_HOLDING, name="ck_certificate_holding"),
        sa.CheckConstraint("octet_length(content_sha256) = 32", name="ck_certificate_hash"),
        sa.CheckConstraint(
            "(revoked_at IS NULL) = (revoked_by IS NULL)", name="ck_certificate_revoked"
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"]),
        sa.ForeignKeyConstraint(["title_id"], ["title.id"]),
        sa.ForeignKeyConstraint(["title_version_id"], ["title_version.id"]),
        sa.ForeignKeyConstraint(["tokenization_id"], ["tokenization.id"]),
        sa.ForeignKeyConstraint(["investor_id"], ["investor.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("content_sha256"),
    )
    for column in ("asset_id", "title_id", "investor_id", "sealed_with"):
        op.create_index(f"ix_certificate_{column}", "certificate", [column])


def upgrade() -> None:
    _anchors()
    _certificates()


def downgrade() -> None:
    op.drop_table("certificate")
    op.drop_table("journal_anchor")

"""Serving the cap table: an index of the few transfers that say more, and exports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_token_event_told",
        "token_event",
        ["token_no", "block_number", "log_index"],
        postgresql_where=sa.text(
            "kind = 1 AND (extra IS NOT NULL OR source IS NULL OR target IS NULL)"
        ),
    )
    _create_exports()


def _create_exports() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "cap_table_export",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("recorded_at", moment, nullable=False),
        sa.Column("maker", sa.String(), nullable=False),
        sa.Column("tokenization_id", sa.Uuid(), sa.ForeignKey("tokenization.id"), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.LargeBinary(), nullable=False),
        sa.Column("mined_at", moment, nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.Column("stored_as", sa.LargeBinary(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("problem", postgresql.JSONB(), nullable=True),
        sa.Column("started_at", moment, nullable=True),
        sa.Column("ended_at", moment, nullable=True),
        sa.Column("expires_at", moment, nullable=True),
        sa.CheckConstraint("done >= 0 AND done <= total", name="ck_cap_table_export_counts"),
        sa.CheckConstraint(
            "(state = 'DONE') = (stored_as IS NOT NULL)", name="ck_cap_table_export_file"
        ),
    )
    op.create_index(
        "ix_cap_table_export_tokenization_id", "cap_table_export", ["tokenization_id"]
    )
    op.create_index(
        "ix_cap_table_export_open",
        "cap_table_export",
        ["id"],
        postgresql_where=sa.text("state IN ('WAITING', 'RUNNING')"),
    )


def downgrade() -> None:
    op.drop_table("cap_table_export")
    op.drop_index("ix_token_event_told", table_name="token_event")

"""Operations that share a transaction."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operation", sa.Column("batch_id", sa.Uuid(), nullable=True))
    op.add_column("operation", sa.Column("batch_limit", sa.Integer(), nullable=True))
    op.create_foreign_key("operation_batch_id_fkey", "operation", "operation", ["batch_id"], ["id"])
    op.create_check_constraint(
        "ck_operation_carried", "operation", "batch_id IS NULL OR nonce IS NULL"
    )
    op.create_index(
        "ix_operation_batch",
        "operation",
        ["batch_id"],
        postgresql_where=sa.text("batch_id IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_operation_batch", table_name="operation")
    op.drop_constraint("ck_operation_carried", "operation")
    for column in ("batch_limit", "batch_id"):
        op.drop_column("operation", column)

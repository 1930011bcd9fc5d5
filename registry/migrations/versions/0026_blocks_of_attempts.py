"""The newest blocks in which operations have ended are looked at again and again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_operation_attempt_block",
        "operation_attempt",
        ["block_number"],
        postgresql_where=sa.text("block_number IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_operation_attempt_block", table_name="operation_attempt")

"""Taking blocks back without looking for what was before them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    units = sa.Numeric(precision=78, scale=0)
    op.add_column("balance", sa.Column("before_block", sa.BigInteger(), nullable=True))
    op.add_column("balance", sa.Column("before_units", units, nullable=True))
    op.add_column("balance", sa.Column("before_frozen", units, nullable=True))
    op.create_index(
        "ix_balance_at_block",
        "balance_at",
        ["block_number"],
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 32, "autosummarize": True},
    )
    op.execute("ALTER TABLE orphan_block ALTER events TYPE json USING events::json")
    op.execute("ALTER TABLE orphan_block ALTER events SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.execute("ALTER TABLE orphan_block ALTER events SET STORAGE EXTENDED")
    op.execute("ALTER TABLE orphan_block ALTER events TYPE jsonb USING events::jsonb")
    op.drop_index("ix_balance_at_block", table_name="balance_at")
    for column in ("before_frozen", "before_units", "before_block"):
        op.drop_column("balance", column)

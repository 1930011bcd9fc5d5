"""How far up times of blocks may go back: up to there a moment is not looked up by the index."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0098"
down_revision = "0097"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sync_cursor", sa.Column("latest_mined_at", sa.DateTime(timezone=True)))
    op.add_column("sync_cursor", sa.Column("unordered_upto", sa.BigInteger()))
    op.execute("""
        UPDATE sync_cursor c SET
          latest_mined_at = (
            SELECT max(mined_at) FROM chain_block b WHERE b.chain_id = c.chain_id),
          unordered_upto = (
            SELECT max(number) FROM (
              SELECT number, mined_at, max(mined_at) OVER (ORDER BY number) AS reached
              FROM chain_block b WHERE b.chain_id = c.chain_id) told
            WHERE mined_at < reached)
    """)


def downgrade() -> None:
    op.drop_column("sync_cursor", "unordered_upto")
    op.drop_column("sync_cursor", "latest_mined_at")

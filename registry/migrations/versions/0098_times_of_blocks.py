"""By how much times of blocks went back at most: within that the index of times is not believed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0098"
down_revision = "0097"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sync_cursor", sa.Column("latest_mined_at", sa.DateTime(timezone=True)))
    op.add_column("sync_cursor", sa.Column("set_back", sa.Interval()))
    op.execute("""
        UPDATE sync_cursor c SET
          latest_mined_at = (
            SELECT max(mined_at) FROM chain_block b WHERE b.chain_id = c.chain_id),
          set_back = (
            SELECT nullif(max(reached - mined_at), interval '0') FROM (
              SELECT mined_at, max(mined_at) OVER (ORDER BY number) AS reached
              FROM chain_block b WHERE b.chain_id = c.chain_id) told)
    """)


def downgrade() -> None:
    op.drop_column("sync_cursor", "set_back")
    op.drop_column("sync_cursor", "latest_mined_at")

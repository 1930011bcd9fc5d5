"""Which tokens are being read again is asked with every portfolio: hardly any are, of many."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0093"
down_revision = "0092"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_token_read_apart",
        "token",
        ["chain_id"],
        postgresql_where=sa.text("caught_up_to IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_token_read_apart", table_name="token")

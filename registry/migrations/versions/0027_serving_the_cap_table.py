"""An index of the few transfers that were no mere transfer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

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


def downgrade() -> None:
    op.drop_index("ix_token_event_told", table_name="token_event")

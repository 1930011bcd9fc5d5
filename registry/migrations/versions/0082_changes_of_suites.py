"""Changes of a token's suite have an index of their own: looked for by whoever reads the past."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0082"
down_revision = "0081"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_token_event_suite",
        "token_event",
        ["token_no", "block_number", "log_index"],
        postgresql_where=sa.text("kind = 15 AND extra ? 'was'"),
    )


def downgrade() -> None:
    op.drop_index("ix_token_event_suite", table_name="token_event")

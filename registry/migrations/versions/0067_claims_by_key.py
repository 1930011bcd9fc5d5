"""Claims are looked for by their key, whenever they were made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0067"
down_revision = "0063"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_legal_history_key",
        "legal_history",
        [sa.text("(image ->> 'key')")],
        postgresql_where=sa.text("table_name = 'underlying_key'"),
    )


def downgrade() -> None:
    op.drop_index("ix_legal_history_key", table_name="legal_history")

"""Rows without a history are sealed by their hashes, an image for each statement (ADR 0071).

Triggers and their function are put up by `registry.history.install`, after the last migration.
What stands in the tables by then is sealed as it stands: before, nothing said what it had been.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0070"
down_revision = "0073"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Which images are about a row. Hashes of ids: a third of the size, and as quick to write.
    op.create_index(
        "ix_legal_history_rows",
        "legal_history",
        [sa.literal_column("jsonb_path_query_array(image, '$.rows.keyvalue().key')").label("rows")],
        postgresql_using="gin",
        postgresql_ops={"rows": "jsonb_path_ops"},
        postgresql_where=sa.text("op = 'ROWS'"),
    )


def downgrade() -> None:
    op.drop_index("ix_legal_history_rows", "legal_history")
    # The triggers go with it; what is sealed stays, and verifies as it did.
    op.execute("DROP FUNCTION IF EXISTS seal_rows() CASCADE")

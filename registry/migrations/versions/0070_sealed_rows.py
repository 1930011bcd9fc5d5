"""Rows without a history are sealed by their hashes, an image for each statement (ADR 0071).

Triggers and their function are put up by `registry.history.install`, after the last migration.
What stands in the tables by then is sealed as it stands: before, nothing said what it had been.
"""

from __future__ import annotations

from alembic import op

revision = "0070"
down_revision = "0073"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    # The triggers go with it; what is sealed stays, and verifies as it did.
    op.execute("DROP FUNCTION IF EXISTS seal_rows() CASCADE")

"""A redemption says what is kept of its price for costs; of those asked for before, nothing is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0073"
down_revision = "0069"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("redemption", sa.Column("costs_paisa", sa.BigInteger(), nullable=True))
    op.create_check_constraint("ck_redemption_costs", "redemption", "costs_paisa >= 0")


def downgrade() -> None:
    op.drop_constraint("ck_redemption_costs", "redemption")
    op.drop_column("redemption", "costs_paisa")

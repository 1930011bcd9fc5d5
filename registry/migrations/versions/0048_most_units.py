"""A balance keeps how much its holder ever had at most: who was large is looked for by that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0041"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "balance",
        sa.Column("most_units", sa.Float(), nullable=False, server_default=sa.text("'Infinity'")),
    )
    op.execute(
        "UPDATE balance b SET most_units = h.most FROM ("
        "SELECT token_no, holder_no, max(balance_units)::float8 * 1.000001 AS most"
        " FROM balance_history GROUP BY token_no, holder_no) h"
        " WHERE h.token_no = b.token_no AND h.holder_no = b.holder_no"
    )


def downgrade() -> None:
    op.drop_column("balance", "most_units")

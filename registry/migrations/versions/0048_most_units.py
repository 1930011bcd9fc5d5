"""A balance keeps how much its holder ever had at most: who was large is looked for by that."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0052"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "balance",
        sa.Column("most_units", sa.Float(), nullable=False, server_default=sa.text("'Infinity'")),
    )
    op.execute(
        "UPDATE balance b SET most_units = h.most FROM ("
        "SELECT token_no, holder_no, CASE WHEN max(balance_units) > 0"
        " THEN 2::float8 ^ (floor(log(2, max(balance_units)) + 0.000001) + 1) ELSE 0 END AS most"
        " FROM balance_history GROUP BY token_no, holder_no) h"
        " WHERE h.token_no = b.token_no AND h.holder_no = b.holder_no"
    )
    op.create_index("ix_balance_most", "balance", ["token_no", "most_units"])


def downgrade() -> None:
    op.drop_index("ix_balance_most", table_name="balance")
    op.drop_column("balance", "most_units")

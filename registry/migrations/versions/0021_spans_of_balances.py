"""History of balances in spans, and an index of the events that are not transfers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

VIEW = """
CREATE VIEW balance_history AS
SELECT token_no, holder_no, block_number, balance_units, frozen_units FROM balance_at
UNION ALL
SELECT token_no, holder_no, l.block_number, l.balance_units, coalesce(l.frozen_units, s.frozen_units)
FROM balance_at s, unnest(s.later_blocks, s.later_balances, s.later_frozen)
  AS l(block_number, balance_units, frozen_units)
"""


def upgrade() -> None:
    units = postgresql.ARRAY(sa.Numeric(precision=78, scale=0))
    op.add_column("balance_at", sa.Column("later_blocks", postgresql.ARRAY(sa.BigInteger())))
    op.add_column("balance_at", sa.Column("later_balances", units))
    op.add_column("balance_at", sa.Column("later_frozen", units))
    op.create_index(
        "ix_token_event_rare",
        "token_event",
        ["token_no", "block_number", "log_index"],
        postgresql_where=sa.text("kind <> 1"),
    )
    # Room for a new balance beside the old one: then no index has to learn of it.
    op.execute("ALTER TABLE balance SET (fillfactor = 70)")
    op.execute(VIEW)


def downgrade() -> None:
    op.execute("CREATE TABLE spread AS SELECT * FROM balance_history")
    op.execute("DROP VIEW balance_history")
    op.execute("ALTER TABLE balance RESET (fillfactor)")
    op.drop_index("ix_token_event_rare", table_name="token_event")
    for column in ("later_frozen", "later_balances", "later_blocks"):
        op.drop_column("balance_at", column)
    op.execute("TRUNCATE balance_at")
    op.execute("INSERT INTO balance_at SELECT * FROM spread")
    op.execute("DROP TABLE spread")

"""Claims and what else the platform's contracts tell; what all holders of a token have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


# Statement by statement, not row by row: a range writes thousands of rows at once. An upsert fires
# the first two, each with its own rows.
_KEEP_HELD = """
CREATE FUNCTION keep_held_units() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    UPDATE token AS t SET held_units = t.held_units + c.units
    FROM (SELECT token_no, sum(balance_units) AS units FROM written GROUP BY token_no) AS c
    WHERE t.token_no = c.token_no AND c.units <> 0;
  ELSIF TG_OP = 'DELETE' THEN
    UPDATE token AS t SET held_units = t.held_units - c.units
    FROM (SELECT token_no, sum(balance_units) AS units FROM replaced GROUP BY token_no) AS c
    WHERE t.token_no = c.token_no AND c.units <> 0;
  ELSE
    UPDATE token AS t SET held_units = t.held_units + c.units
    FROM (
      SELECT token_no, sum(units) AS units FROM (
        SELECT token_no, balance_units AS units FROM written UNION ALL
        SELECT token_no, -balance_units FROM replaced) AS w
      GROUP BY token_no) AS c
    WHERE t.token_no = c.token_no AND c.units <> 0;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER balance_held_insert AFTER INSERT ON balance
  REFERENCING NEW TABLE AS written FOR EACH STATEMENT EXECUTE FUNCTION keep_held_units();
CREATE TRIGGER balance_held_update AFTER UPDATE ON balance
  REFERENCING NEW TABLE AS written OLD TABLE AS replaced
  FOR EACH STATEMENT EXECUTE FUNCTION keep_held_units();
CREATE TRIGGER balance_held_delete AFTER DELETE ON balance
  REFERENCING OLD TABLE AS replaced FOR EACH STATEMENT EXECUTE FUNCTION keep_held_units()
"""
_HELD_NOW = """
UPDATE token AS t SET held_units = c.units
FROM (SELECT token_no, sum(balance_units) AS units FROM balance GROUP BY token_no) AS c
WHERE t.token_no = c.token_no
"""


def upgrade() -> None:
    op.add_column(
        "token",
        sa.Column("held_units", sa.Numeric(78, 0), nullable=False, server_default=sa.text("0")),
    )
    op.execute(_HELD_NOW)
    op.execute(_KEEP_HELD)
    _create_contracts()
    op.create_index(
        "ix_token_event_registered",
        "token_event",
        ["token_no", "target", "block_number", "log_index"],
        postgresql_where=sa.text("kind IN (8, 9, 10, 11)"),
    )


def downgrade() -> None:
    for event in ("insert", "update", "delete"):
        op.execute(f"DROP TRIGGER balance_held_{event} ON balance")
    op.execute("DROP FUNCTION keep_held_units()")
    op.drop_column("token", "held_units")
    op.drop_index("ix_token_event_registered", table_name="token_event")
    op.drop_column("orphan_block", "contract_events")
    op.drop_table("contract_event")
    op.drop_table("followed_contract")


def _create_contracts() -> None:
    op.create_table(
        "followed_contract",
        sa.Column("chain_id", sa.BigInteger(), primary_key=True),
        sa.Column("address", sa.LargeBinary(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("caught_up_to", sa.BigInteger(), nullable=True),
    )
    op.create_table(
        "contract_event",
        sa.Column("chain_id", sa.BigInteger(), primary_key=True),
        sa.Column("block_number", sa.BigInteger(), primary_key=True),
        sa.Column("log_index", sa.Integer(), primary_key=True),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("event", sa.String(), nullable=False),
        sa.Column("tx_hash", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=True),
        sa.Column("said", postgresql.JSONB(), nullable=False),
    )
    op.create_index(
        "ix_contract_event_subject",
        "contract_event",
        ["chain_id", "subject", "block_number", "log_index"],
        postgresql_where=sa.text("subject IS NOT NULL"),
    )
    op.create_index(
        "ix_contract_event_general",
        "contract_event",
        ["chain_id", "address", "block_number", "log_index"],
        postgresql_where=sa.text("subject IS NULL"),
    )
    op.add_column(
        "orphan_block",
        sa.Column(
            "contract_events", postgresql.JSONB(), nullable=False, server_default=sa.text("'[]'")
        ),
    )

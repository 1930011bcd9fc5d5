"""Claims and what else the platform's contracts tell, beside the tokens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_contracts()
    op.create_index(
        "ix_token_event_registered",
        "token_event",
        ["token_no", "target", "block_number", "log_index"],
        postgresql_where=sa.text("kind IN (8, 9, 10, 11)"),
    )


def downgrade() -> None:
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

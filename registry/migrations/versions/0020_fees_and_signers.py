"""What an operation waits for, what its attempts offered, and how its signers stand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

TIP_SO_FAR = "1000000000"


def upgrade() -> None:
    op.add_column("operation", sa.Column("waits_for", JSONB(none_as_null=True), nullable=True))
    op.add_column(
        "operation_attempt",
        sa.Column("tip_wei", sa.Numeric(78, 0), nullable=True, server_default=TIP_SO_FAR),
    )
    # An attempt older than this column counts as stuck: to raise its fee harms nothing.
    op.add_column(
        "operation_attempt",
        sa.Column("signed_at_block", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.alter_column("operation_attempt", "tip_wei", server_default=None)
    op.alter_column("operation_attempt", "signed_at_block", server_default=None)
    # The limits of a day count what was signed lately.
    op.create_index("ix_operation_attempt_signed_at", "operation_attempt", ["signed_at"])
    op.create_table(
        "signer_watch",
        sa.Column("chain_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("signer", sa.LargeBinary(), primary_key=True),
        sa.Column("roles", sa.String(), nullable=False),
        sa.Column("balance_wei", sa.Numeric(78, 0), nullable=False),
        sa.Column("operation_cost_wei", sa.Numeric(78, 0), nullable=False),
        sa.Column("wanted_operations", sa.BigInteger(), nullable=False),
        sa.Column("watched_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("resting_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
    )


def downgrade() -> None:
    op.drop_table("signer_watch")
    op.drop_index("ix_operation_attempt_signed_at", table_name="operation_attempt")
    for column in ("signed_at_block", "tip_wei"):
        op.drop_column("operation_attempt", column)
    op.drop_column("operation", "waits_for")

"""One writer for each chain, its final block, tokens that are caught up, and rounds of proofs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "sync_cursor",
        sa.Column("generation", sa.BigInteger(), nullable=False, server_default="0"),
    )
    op.alter_column("sync_cursor", "generation", server_default=None)
    op.add_column("sync_cursor", sa.Column("finalized_number", sa.BigInteger()))
    op.add_column("sync_cursor", sa.Column("finalized_hash", sa.LargeBinary()))
    op.add_column("sync_cursor", sa.Column("degraded_since", sa.DateTime(timezone=True)))
    op.add_column("token", sa.Column("caught_up_to", sa.BigInteger()))
    op.add_column("token", sa.Column("refusal", sa.String()))
    # The same suite may stand at the same address of two chains.
    op.drop_constraint("token_address_key", "token", type_="unique")
    op.create_unique_constraint("uq_token_address", "token", ["address", "chain_id"])
    # Who was ever frozen: few, and asked for by holder.
    op.create_index(
        "ix_token_event_frozen",
        "token_event",
        ["token_no", "target", "block_number", "log_index"],
        postgresql_where=sa.text("kind = 2"),
    )
    op.create_table(
        "proof_round",
        sa.Column("token_no", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("after_holder", sa.Integer(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
    )


def downgrade() -> None:
    op.drop_table("proof_round")
    op.drop_index("ix_token_event_frozen", table_name="token_event")
    op.drop_constraint("uq_token_address", "token", type_="unique")
    op.create_unique_constraint("token_address_key", "token", ["address"])
    op.drop_column("token", "refusal")
    op.drop_column("token", "caught_up_to")
    for column in ("degraded_since", "finalized_hash", "finalized_number", "generation"):
        op.drop_column("sync_cursor", column)

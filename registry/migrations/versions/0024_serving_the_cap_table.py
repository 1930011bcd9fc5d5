"""Serving the cap table: an index of the few transfers that say more, and exports."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_token_event_told",
        "token_event",
        ["token_no", "block_number", "log_index"],
        postgresql_where=sa.text(
            "kind = 1 AND (extra IS NOT NULL OR source IS NULL OR target IS NULL)"
        ),
    )
    _create_exports()
    _keep_what_we_knew()


def _keep_what_we_knew() -> None:
    moment = sa.DateTime(timezone=True)
    # Of older blocks we do not know it: as if each had been stored when it was mined.
    op.add_column("chain_block", sa.Column("recorded_at", moment, nullable=True))
    op.execute("UPDATE chain_block SET recorded_at = mined_at")
    op.alter_column(
        "chain_block", "recorded_at", nullable=False, server_default=sa.text("now()")
    )
    # Of older orphans neither: they were believed in at no moment that can be asked for.
    op.add_column("orphan_block", sa.Column("mined_at", moment, nullable=True))
    op.add_column("orphan_block", sa.Column("recorded_at", moment, nullable=True))
    op.execute("UPDATE orphan_block SET mined_at = orphaned_at, recorded_at = orphaned_at")
    op.alter_column("orphan_block", "mined_at", nullable=False)
    op.alter_column("orphan_block", "recorded_at", nullable=False)
    op.drop_constraint("orphan_block_pkey", "orphan_block", type_="primary")
    op.create_primary_key(
        "orphan_block_pkey", "orphan_block", ["chain_id", "hash", "orphaned_at"]
    )
    op.create_index("ix_orphan_block_orphaned", "orphan_block", ["chain_id", "orphaned_at"])


def _forget_what_we_knew() -> None:
    op.drop_index("ix_orphan_block_orphaned", table_name="orphan_block")
    op.drop_constraint("orphan_block_pkey", "orphan_block", type_="primary")
    op.execute(
        "DELETE FROM orphan_block o USING orphan_block n"
        " WHERE n.chain_id = o.chain_id AND n.hash = o.hash AND n.orphaned_at > o.orphaned_at"
    )
    op.create_primary_key("orphan_block_pkey", "orphan_block", ["chain_id", "hash"])
    op.drop_column("orphan_block", "recorded_at")
    op.drop_column("orphan_block", "mined_at")
    op.drop_column("chain_block", "recorded_at")


def _create_exports() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "cap_table_export",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("recorded_at", moment, nullable=False),
        sa.Column("maker", sa.String(), nullable=False),
        sa.Column("tokenization_id", sa.Uuid(), sa.ForeignKey("tokenization.id"), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.LargeBinary(), nullable=False),
        sa.Column("mined_at", moment, nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.Column("stored_as", sa.LargeBinary(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("problem", postgresql.JSONB(), nullable=True),
        sa.Column("started_at", moment, nullable=True),
        sa.Column("ended_at", moment, nullable=True),
        sa.Column("expires_at", moment, nullable=True),
        sa.CheckConstraint("done >= 0 AND done <= total", name="ck_cap_table_export_counts"),
        sa.CheckConstraint(
            "(state = 'DONE') = (stored_as IS NOT NULL)", name="ck_cap_table_export_file"
        ),
    )
    op.create_index(
        "ix_cap_table_export_tokenization_id", "cap_table_export", ["tokenization_id"]
    )
    op.create_index(
        "ix_cap_table_export_open",
        "cap_table_export",
        ["id"],
        postgresql_where=sa.text("state IN ('WAITING', 'RUNNING')"),
    )


def downgrade() -> None:
    _forget_what_we_knew()
    op.drop_table("cap_table_export")
    op.drop_index("ix_token_event_told", table_name="token_event")

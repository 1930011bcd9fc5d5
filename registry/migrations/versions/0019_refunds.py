"""Refunds of a sale that missed its minimum."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "refund",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "payment_id", sa.Uuid(), sa.ForeignKey("payment.id"), nullable=False, unique=True
        ),
        sa.Column("rail", sa.String(), nullable=False),
        sa.Column("rail_reference", sa.String(), nullable=False, unique=True),
        sa.Column("amount_paisa", sa.BigInteger(), nullable=False),
        sa.Column("recorded_by", sa.String(), nullable=False),
        sa.CheckConstraint("amount_paisa > 0", name="ck_refund_amount"),
    )


def downgrade() -> None:
    op.drop_table("refund")

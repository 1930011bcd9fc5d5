"""When the claim key signed each claim, so that the policy can limit a day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0080"
down_revision = "0079"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "claim_signature",
        sa.Column("operation_id", sa.Uuid(), nullable=False),
        sa.Column("signed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["operation_id"], ["operation.id"]),
        sa.PrimaryKeyConstraint("operation_id"),
    )
    op.create_index("ix_claim_signature_signed_at", "claim_signature", ["signed_at"])


def downgrade() -> None:
    op.drop_table("claim_signature")

"""What reports look for among many: the order of an instruction, the proof of a block."""

from __future__ import annotations

from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_purchase_order_operation_id", "purchase_order", ["operation_id"])
    op.drop_index("ix_reconciliation_token_no", table_name="reconciliation")
    op.create_index(
        "ix_reconciliation_block", "reconciliation", ["token_no", "block_number", "id"]
    )


def downgrade() -> None:
    op.drop_index("ix_reconciliation_block", table_name="reconciliation")
    op.create_index("ix_reconciliation_token_no", "reconciliation", ["token_no"])
    op.drop_index("ix_purchase_order_operation_id", table_name="purchase_order")

"""What reports look for among many: orders of instructions, payers of a day, blocks by time."""

from __future__ import annotations

from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_purchase_order_operation_id", "purchase_order", ["operation_id"])
    op.create_index("ix_chain_block_mined_at", "chain_block", ["chain_id", "mined_at", "number"])
    op.create_index(
        "ix_purchase_order_payer", "purchase_order", ["id"], postgresql_include=["investor_id"]
    )
    op.drop_index("ix_payment_received_at", table_name="payment")
    op.create_index(
        "ix_payment_received_at",
        "payment",
        ["received_at"],
        postgresql_include=["order_id", "amount_paisa", "state"],
    )
    op.drop_index("ix_reconciliation_token_no", table_name="reconciliation")
    op.create_index(
        "ix_reconciliation_block", "reconciliation", ["token_no", "block_number", "id"]
    )


def downgrade() -> None:
    op.drop_index("ix_reconciliation_block", table_name="reconciliation")
    op.create_index("ix_reconciliation_token_no", "reconciliation", ["token_no"])
    op.drop_index("ix_chain_block_mined_at", table_name="chain_block")
    op.drop_index("ix_payment_received_at", table_name="payment")
    op.create_index("ix_payment_received_at", "payment", ["received_at"])
    op.drop_index("ix_purchase_order_payer", table_name="purchase_order")
    op.drop_index("ix_purchase_order_operation_id", table_name="purchase_order")

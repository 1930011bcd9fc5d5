"""Money of no order goes to one that nothing points to only where two people say so.

Who proposed it, and for which order, stands with the payment.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0089"
down_revision = "0088"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("payment", sa.Column("proposed_order_id", sa.Uuid(), nullable=True))
    op.add_column("payment", sa.Column("proposed_by", sa.String(), nullable=True))
    op.create_foreign_key(
        "payment_proposed_order_id_fkey",
        "payment",
        "purchase_order",
        ["proposed_order_id"],
        ["id"],
    )
    op.create_check_constraint(
        "ck_payment_proposed",
        "payment",
        "(proposed_order_id IS NULL) = (proposed_by IS NULL)",
    )


def downgrade() -> None:
    op.drop_constraint("ck_payment_proposed", "payment")
    op.drop_constraint("payment_proposed_order_id_fkey", "payment")
    op.drop_column("payment", "proposed_by")
    op.drop_column("payment", "proposed_order_id")

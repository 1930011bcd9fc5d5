"""Money of no order can make good what is owed of a payment that was returned and taken back.

Of which payment it does, or is proposed to, stands with the payment that came.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0099"
down_revision = "0098"
branch_labels = None
depends_on = None

_REFUSE_TO_FORGET = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM payment
               WHERE owing_payment_id IS NOT NULL OR proposed_payment_id IS NOT NULL) THEN
        RAISE EXCEPTION 'there are payments that an older version cannot show';
    END IF;
END $$
"""


def upgrade() -> None:
    for column in ("owing_payment_id", "proposed_payment_id"):
        op.add_column("payment", sa.Column(column, sa.Uuid(), nullable=True))
        op.create_foreign_key(f"payment_{column}_fkey", "payment", "payment", [column], ["id"])
    op.create_check_constraint(
        "ck_payment_owing",
        "payment",
        "state = 'REVERSED' OR (state = 'PAID_DEBT') = (owing_payment_id IS NOT NULL)",
    )
    op.drop_constraint("ck_payment_proposed", "payment")
    op.create_check_constraint(
        "ck_payment_proposed",
        "payment",
        "num_nonnulls(proposed_order_id, proposed_payment_id) = num_nonnulls(proposed_by)",
    )


def downgrade() -> None:
    op.execute(_REFUSE_TO_FORGET)
    op.drop_constraint("ck_payment_proposed", "payment")
    op.create_check_constraint(
        "ck_payment_proposed", "payment", "(proposed_order_id IS NULL) = (proposed_by IS NULL)"
    )
    op.drop_constraint("ck_payment_owing", "payment")
    for column in ("proposed_payment_id", "owing_payment_id"):
        op.drop_column("payment", column)

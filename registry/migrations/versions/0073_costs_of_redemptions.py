"""A redemption says what is kept of its price for costs; a day's payments are told by rail.

Nothing was kept of the price of redemptions that were asked for before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0073"
down_revision = "0069"
branch_labels = None
depends_on = None


_ALL_OF_A_DAY = ["order_id", "amount_paisa", "state"]


def _payments_of_a_day(columns: list[str]) -> None:
    op.drop_index("ix_payment_received_at", table_name="payment")
    op.create_index(
        "ix_payment_received_at", "payment", ["received_at"], postgresql_include=columns
    )


def upgrade() -> None:
    op.add_column("redemption", sa.Column("costs_paisa", sa.BigInteger(), nullable=True))
    op.create_check_constraint("ck_redemption_costs", "redemption", "costs_paisa >= 0")
    _payments_of_a_day([*_ALL_OF_A_DAY, "rail"])


def downgrade() -> None:
    _payments_of_a_day(_ALL_OF_A_DAY)
    op.drop_constraint("ck_redemption_costs", "redemption")
    op.drop_column("redemption", "costs_paisa")

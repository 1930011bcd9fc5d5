"""A redemption says what is kept of its price for costs; a day's payments are told by rail.

Nothing was kept of the price of redemptions that were asked for before. It says too how many are
paid, and for how many units; of older ones the payouts tell. What is not paid yet has an index, and so
has what was booked of a statement's lines.
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
    op.add_column("redemption", sa.Column("record_holders", sa.Integer(), nullable=True))
    op.add_column("redemption", sa.Column("record_units", sa.Numeric(78), nullable=True))
    op.create_index(
        "ix_redemption_payout_open",
        "redemption_payout",
        ["redemption_id", "state"],
        postgresql_include=["amount_paisa", "recorded_at"],
        postgresql_where=sa.text("state <> 'PAID'"),
    )
    _payments_of_a_day([*_ALL_OF_A_DAY, "rail"])
    op.create_index(
        "ix_bank_statement_line_payment_id", "bank_statement_line", ["payment_id"]
    )


def downgrade() -> None:
    op.drop_index("ix_bank_statement_line_payment_id", table_name="bank_statement_line")
    _payments_of_a_day(_ALL_OF_A_DAY)
    op.drop_index("ix_redemption_payout_open", table_name="redemption_payout")
    op.drop_column("redemption", "record_units")
    op.drop_column("redemption", "record_holders")
    op.drop_constraint("ck_redemption_costs", "redemption")
    op.drop_column("redemption", "costs_paisa")

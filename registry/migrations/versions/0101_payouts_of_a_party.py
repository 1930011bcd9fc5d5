"""What a party was paid, and when, is found by the party and the payout: a statement tells of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0101"
down_revision = "0100"
branch_labels = None
depends_on = None

PAID, TIMES = "ix_redemption_payout_paid", "ix_journal_entry_payout"


def upgrade() -> None:
    op.create_index(
        PAID, "redemption_payout", ["party_id"], postgresql_where=sa.text("state = 'PAID'")
    )
    op.create_index(
        TIMES,
        "journal_entry",
        [sa.text("(facts ->> 'payout')")],
        postgresql_where=sa.text("act = 'redemption_payout_paid'"),
    )


def downgrade() -> None:
    op.drop_index(TIMES, "journal_entry")
    op.drop_index(PAID, "redemption_payout")

"""A payout says who holds it by hand; what the register holds by itself, nobody does."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0069"
down_revision = "0067"
branch_labels = None
depends_on = None

# The register's own words for what it holds at once; every other reason a person gave.
_HELD_BY_PEOPLE = """
UPDATE redemption_payout p SET held_by = coalesce(
  (SELECT j.actor FROM journal_entry j
   WHERE j.subject_id = p.redemption_id::text AND j.act = 'redemption_payout_held'
     AND j.facts ->> 'payout' = p.id::text
   ORDER BY j.recorded_at DESC LIMIT 1), 'unknown')
WHERE p.state = 'HELD' AND p.reason IS DISTINCT FROM 'nobody has proven the address'
  AND p.reason IS DISTINCT FROM 'fractions are frozen on chain'
  AND p.reason IS DISTINCT FROM 'an order binds the holder'
"""


def upgrade() -> None:
    op.add_column("redemption_payout", sa.Column("held_by", sa.String(), nullable=True))
    op.execute(_HELD_BY_PEOPLE)


def downgrade() -> None:
    op.drop_column("redemption_payout", "held_by")

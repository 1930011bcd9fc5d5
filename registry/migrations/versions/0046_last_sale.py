"""When a sale completed an order last: asked by every portfolio, of sales with a million orders."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0039"
branch_labels = None
depends_on = None

_LAST = """
UPDATE offering SET last_sold_at = last.sold_at
FROM (
    SELECT o.offering_id, max(e.recorded_at) AS sold_at
    FROM ledger_entry e JOIN purchase_order o ON o.id = e.subject_id
    WHERE e.kind = 'SETTLEMENT' GROUP BY o.offering_id
) AS last
WHERE last.offering_id = offering.id
"""


def upgrade() -> None:
    op.add_column("offering", sa.Column("last_sold_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(_LAST)


def downgrade() -> None:
    op.drop_column("offering", "last_sold_at")

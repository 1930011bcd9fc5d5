"""A day whose report is filed may have another one, of what was identified since."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0063"
down_revision = "0064"
branch_labels = None
depends_on = None


def _index(where: str) -> None:
    op.drop_index("uq_ctr_filing_day", table_name="ctr_filing")
    op.create_index(
        "uq_ctr_filing_day",
        "ctr_filing",
        ["party_id", "day"],
        unique=True,
        postgresql_where=sa.text(where),
    )


def upgrade() -> None:
    _index("state = 'PREPARED'")


def downgrade() -> None:
    _index("state <> 'WITHDRAWN'")

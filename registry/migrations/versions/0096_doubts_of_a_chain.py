"""Whether a chain is in doubt, or only some of its tokens: what is paid stops for those alone.

An alarm that stands is taken for one of the chain, as it was until now. An export remembers as of
which moment it was asked for.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0096"
down_revision = "0095"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sync_cursor", sa.Column("chain_doubt", sa.String()))
    op.add_column("sync_cursor", sa.Column("chain_doubted_since", sa.DateTime(timezone=True)))
    op.add_column("token", sa.Column("doubted_since", sa.DateTime(timezone=True)))
    op.add_column("cap_table_export", sa.Column("known_at", sa.DateTime(timezone=True)))
    op.execute(
        "UPDATE sync_cursor SET chain_doubt = degraded,"
        " chain_doubted_since = coalesce(degraded_since, now()) WHERE degraded IS NOT NULL"
    )


def downgrade() -> None:
    op.drop_column("cap_table_export", "known_at")
    op.drop_column("token", "doubted_since")
    op.drop_column("sync_cursor", "chain_doubted_since")
    op.drop_column("sync_cursor", "chain_doubt")

"""How far the alerts of the chain and of wallets have looked is sealed, with a key that is not here.

What stands has no seal, and would not be believed. So all of it is looked at once more. Nothing is
raised twice under one key; but by today's thresholds, and of a wallet that was proven since by its
party, so that old crossings may be told anew.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0100"
down_revision = "0099"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("alert_cursor", sa.Column("sealed", sa.LargeBinary(), nullable=True))
    op.execute("DELETE FROM alert_cursor WHERE source = 'wallets' OR source LIKE 'chain:%'")


def downgrade() -> None:
    op.drop_column("alert_cursor", "sealed")

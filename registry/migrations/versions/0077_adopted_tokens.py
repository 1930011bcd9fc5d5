"""Tokens say whether somebody adopted them: a reorg takes no such token away.

Those that were adopted before are told by the journal.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0077"
down_revision = "0070"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "token", sa.Column("is_adopted", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.execute(
        "UPDATE token SET is_adopted = true FROM journal_entry e"
        " WHERE e.act = 'token_adopted' AND e.subject_kind = 'token'"
        " AND e.subject_id = '0x' || encode(token.address, 'hex')"
        " AND e.facts ->> 'chain_id' = token.chain_id::text"
    )


def downgrade() -> None:
    op.drop_column("token", "is_adopted")

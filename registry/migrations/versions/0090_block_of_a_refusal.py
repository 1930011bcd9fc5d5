"""A token is refused as of a block: where a reorg takes that back, it is read on.

Who is refused already is taken to be so as of where its chain is read to now: the next reorg below
that has it read once more, and refused again if nothing has changed.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0090"
down_revision = "0089"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("token", sa.Column("refused_at", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE token AS t SET refused_at = coalesce((SELECT number FROM sync_cursor AS c"
        " WHERE c.chain_id = t.chain_id), t.block_number) WHERE refusal IS NOT NULL"
    )
    op.create_check_constraint(
        "ck_token_refused_at", "token", "(refusal IS NULL) = (refused_at IS NULL)"
    )


def downgrade() -> None:
    op.drop_constraint("ck_token_refused_at", "token")
    op.drop_column("token", "refused_at")

"""What the chain was told of the title behind a token."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tokenization", sa.Column("title_status", sa.String(), nullable=True))
    op.add_column("tokenization", sa.Column("title_root", sa.LargeBinary(), nullable=True))
    op.add_column(
        "tokenization",
        sa.Column("title_told", sa.Integer(), nullable=False, server_default=sa.text("0")),
    )


def downgrade() -> None:
    for column in ("title_told", "title_root", "title_status"):
        op.drop_column("tokenization", column)

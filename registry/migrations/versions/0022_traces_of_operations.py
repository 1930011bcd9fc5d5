"""The trace that planned an operation, and the nonces of signers when last looked at."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operation", sa.Column("traceparent", sa.String(), nullable=True))
    for column in ("chain_nonce", "next_nonce"):
        op.add_column("signer_watch", sa.Column(column, sa.BigInteger(), nullable=True))


def downgrade() -> None:
    for column in ("next_nonce", "chain_nonce"):
        op.drop_column("signer_watch", column)
    op.drop_column("operation", "traceparent")

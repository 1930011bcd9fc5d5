"""The compliance terms of a token: which rules it is deployed with, with which figures."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tokenization", sa.Column("compliance", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("tokenization", "compliance")

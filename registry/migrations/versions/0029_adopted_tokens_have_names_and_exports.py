"""What an adopted token calls itself, and exports of tokens that have no tokenization."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None

_OF_TOKENIZATION = """
UPDATE cap_table_export e SET token_address = t.token_address
FROM tokenization t WHERE t.id = e.tokenization_id
"""


def upgrade() -> None:
    op.add_column("token", sa.Column("symbol", sa.String(), nullable=True))
    op.add_column("token", sa.Column("name", sa.String(), nullable=True))
    op.add_column("token", sa.Column("decimals", sa.Integer(), nullable=True))
    op.add_column("cap_table_export", sa.Column("token_address", sa.LargeBinary(), nullable=True))
    op.execute(_OF_TOKENIZATION)
    op.alter_column("cap_table_export", "token_address", nullable=False)
    op.alter_column("cap_table_export", "tokenization_id", nullable=True)
    op.create_index("ix_cap_table_export_token", "cap_table_export", ["chain_id", "token_address"])


def downgrade() -> None:
    op.drop_index("ix_cap_table_export_token", table_name="cap_table_export")
    # An older version cannot say whose they are.
    op.execute("DELETE FROM cap_table_export WHERE tokenization_id IS NULL")
    op.alter_column("cap_table_export", "tokenization_id", nullable=False)
    op.drop_column("cap_table_export", "token_address")
    for column in ("decimals", "name", "symbol"):
        op.drop_column("token", column)

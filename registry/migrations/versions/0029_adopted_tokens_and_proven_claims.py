"""What an adopted token calls itself, exports of tokens that have no tokenization, and from where
on the platform's contracts were read.
"""

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
# What a contract says first, it says in the block that makes it.
_READ_FROM = """
UPDATE followed_contract f SET read_from = CASE
  WHEN caught_up_to = block_number - 1 THEN block_number
  ELSE coalesce(
    (SELECT min(e.block_number) FROM contract_event e
     WHERE e.chain_id = f.chain_id AND e.address = f.address), block_number + 1) END
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
    op.add_column("followed_contract", sa.Column("read_from", sa.BigInteger(), nullable=True))
    op.execute(_READ_FROM)
    op.alter_column("followed_contract", "read_from", nullable=False)


def downgrade() -> None:
    op.drop_column("followed_contract", "read_from")
    op.drop_index("ix_cap_table_export_token", table_name="cap_table_export")
    # An older version cannot say whose they are.
    op.execute("DELETE FROM cap_table_export WHERE tokenization_id IS NULL")
    op.alter_column("cap_table_export", "tokenization_id", nullable=False)
    op.drop_column("cap_table_export", "token_address")
    for column in ("decimals", "name", "symbol"):
        op.drop_column("token", column)

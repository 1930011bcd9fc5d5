"""The two halves of an exchange of land under two titles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mutation", sa.Column("counterpart_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        "mutation_counterpart_id_fkey", "mutation", "mutation", ["counterpart_id"], ["id"]
    )
    op.create_unique_constraint("uq_mutation_counterpart", "mutation", ["counterpart_id"])


def downgrade() -> None:
    op.drop_constraint("uq_mutation_counterpart", "mutation", type_="unique")
    op.drop_constraint("mutation_counterpart_id_fkey", "mutation", type_="foreignkey")
    op.drop_column("mutation", "counterpart_id")

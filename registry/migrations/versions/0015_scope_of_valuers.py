"""What a valuer of the panel may value, and who they are."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

LIMITS = ("asset_classes", "regions")


def upgrade() -> None:
    for limit in LIMITS:
        column = sa.Column(limit, postgresql.JSONB(none_as_null=True), nullable=True)
        op.add_column("panel_valuer", column)
        # An entry for nothing would be no entry.
        op.create_check_constraint(
            f"ck_panel_valuer_{limit}", "panel_valuer", f"jsonb_array_length({limit}) > 0"
        )
    op.add_column("panel_valuer", sa.Column("party_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        "panel_valuer_party_id_fkey", "panel_valuer", "party", ["party_id"], ["id"]
    )


def downgrade() -> None:
    op.drop_column("panel_valuer", "party_id")
    for limit in LIMITS:
        op.drop_column("panel_valuer", limit)

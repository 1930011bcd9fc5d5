"""The panel of valuers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "panel_valuer",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valuer", sa.String(), nullable=False),
        sa.Column("licence_no", sa.String(), nullable=False),
        sa.Column("begins_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("confirmed_by", sa.String(), nullable=True),
        sa.CheckConstraint("ends_on >= begins_on", name="ck_panel_valuer_days"),
        sa.CheckConstraint("confirmed_by <> proposed_by", name="ck_panel_valuer_four_eyes"),
        sa.CheckConstraint(
            "valuer <> proposed_by AND valuer <> confirmed_by", name="ck_panel_valuer_not_by_self"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_panel_valuer_valuer", "panel_valuer", ["valuer"])


def downgrade() -> None:
    op.drop_table("panel_valuer")

"""Editions of a sanctions list that count once another officer confirms them."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0060"
down_revision = "0059"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    op.add_column(
        "sanctions_list",
        sa.Column("needs_confirmation", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.alter_column("sanctions_list", "needs_confirmation", server_default=None)
    op.add_column("sanctions_list", sa.Column("confirmed_by", _TEXT(), nullable=True))
    op.add_column(
        "sanctions_list", sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True)
    )
    # One from the future was newer than every true edition, and none could be taken in again.
    op.execute(
        "UPDATE sanctions_list SET needs_confirmation = true"
        " WHERE generated_at > recorded_at + interval '1 day'"
    )
    op.create_check_constraint(
        "ck_sanctions_list_four_eyes",
        "sanctions_list",
        "acting_person(confirmed_by) <> acting_person(uploaded_by)",
    )
    op.create_check_constraint(
        "ck_sanctions_list_confirmed",
        "sanctions_list",
        "(confirmed_by IS NULL) = (confirmed_at IS NULL)"
        " AND (confirmed_by IS NULL OR needs_confirmation)",
    )


def downgrade() -> None:
    op.drop_constraint("ck_sanctions_list_confirmed", "sanctions_list")
    op.drop_constraint("ck_sanctions_list_four_eyes", "sanctions_list")
    for column in ("confirmed_at", "confirmed_by", "needs_confirmation"):
        op.drop_column("sanctions_list", column)

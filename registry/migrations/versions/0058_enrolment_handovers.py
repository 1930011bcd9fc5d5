"""Enrolments that are handed over to whom they are about."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0058"
down_revision = "0049"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString


def upgrade() -> None:
    op.create_table(
        "enrolment_handover",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("subject", _TEXT(), nullable=True),
        sa.Column("reason", _TEXT(), nullable=False),
        sa.Column("proposed_by", _TEXT(), nullable=False),
        sa.Column("confirmed_by", _TEXT(), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_by", _TEXT(), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("investor_id", sa.Uuid(), nullable=True),
        sa.Column("previous_subject", _TEXT(), nullable=True),
        sa.CheckConstraint(
            "acting_person(confirmed_by) <> acting_person(proposed_by)",
            name="ck_enrolment_handover_four_eyes",
        ),
        sa.CheckConstraint(
            "(confirmed_by IS NULL) = (investor_id IS NULL)"
            " AND (confirmed_by IS NULL OR withdrawn_by IS NULL)",
            name="ck_enrolment_handover_done",
        ),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.ForeignKeyConstraint(["investor_id"], ["investor.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_enrolment_handover_party_id", "enrolment_handover", ["party_id"])
    op.create_index(
        "uq_enrolment_handover_open",
        "enrolment_handover",
        ["party_id"],
        unique=True,
        postgresql_where=sa.text("confirmed_by IS NULL AND withdrawn_by IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("enrolment_handover")

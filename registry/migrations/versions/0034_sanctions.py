"""Lists of sanctions, who was screened against them, and what looked alike."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString


def _record() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "sanctions_list",
        *_record(),
        sa.Column("generated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("entries", sa.Integer(), nullable=False),
        sa.Column("uploaded_by", _TEXT(), nullable=False),
        sa.CheckConstraint("octet_length(sha256) = 32", name="ck_sanctions_list_hash"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sha256"),
    )
    op.create_table(
        "sanctions_entry",
        *_record(),
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("reference", _TEXT(), nullable=False),
        sa.Column("names", postgresql.JSONB(), nullable=False),
        sa.Column("births", postgresql.JSONB(), nullable=False),
        sa.Column("nationalities", postgresql.JSONB(), nullable=False),
        sa.Column("entry_sha256", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["sanctions_list.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("list_id", "reference", name="uq_sanctions_entry_reference"),
    )
    op.create_index("ix_sanctions_entry_list_id", "sanctions_entry", ["list_id"])
    op.create_table(
        "sanctions_screening",
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("list_id", sa.Uuid(), nullable=False),
        sa.Column("party_version", sa.Integer(), nullable=False),
        sa.Column("screened_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.ForeignKeyConstraint(["list_id"], ["sanctions_list.id"]),
        sa.PrimaryKeyConstraint("party_id"),
    )
    op.create_index("ix_sanctions_screening_list_id", "sanctions_screening", ["list_id"])
    op.create_table(
        "sanctions_hit",
        *_record(),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("reference", _TEXT(), nullable=False),
        sa.Column("party_print", sa.LargeBinary(), nullable=False),
        sa.Column("entry_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("maker", _TEXT(), nullable=True),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.Column("reason", _TEXT(), nullable=True),
        sa.Column("checker", _TEXT(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", _TEXT(), nullable=True),
        sa.CheckConstraint(
            "acting_person(checker) <> acting_person(maker)", name="ck_sanctions_hit_four_eyes"
        ),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.ForeignKeyConstraint(["entry_id"], ["sanctions_entry.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "party_id", "reference", "party_print", "entry_sha256", name="uq_sanctions_hit_pair"
        ),
    )
    op.create_index("ix_sanctions_hit_party_id", "sanctions_hit", ["party_id"])


def downgrade() -> None:
    for table in ("sanctions_hit", "sanctions_screening", "sanctions_entry", "sanctions_list"):
        op.drop_table(table)

"""Cases: why somebody's units are acted on without them, and each act that follows."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString
_SUBJECT = (
    "CASE kind WHEN 'SUCCESSION' THEN investor_id IS NOT NULL"
    " WHEN 'FORCED_TRANSFER' THEN wallet IS NOT NULL AND counterparty IS NOT NULL"
    " WHEN 'RECOVERY' THEN wallet IS NOT NULL AND counterparty IS NOT NULL"
    " AND investor_id IS NOT NULL ELSE wallet IS NOT NULL END"
)


def upgrade() -> None:
    op.create_table(
        "legal_case",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("legal_basis", _TEXT(), nullable=False),
        sa.Column("reason", _TEXT(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("document_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("order_id", sa.Uuid(), nullable=True),
        sa.Column("wallet", sa.LargeBinary(), nullable=True),
        sa.Column("investor_id", sa.Uuid(), nullable=True),
        sa.Column("counterparty", sa.LargeBinary(), nullable=True),
        sa.Column("takes_frozen", sa.Boolean(), nullable=False),
        sa.Column("heirs", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("maker", _TEXT(), nullable=False),
        sa.Column("approved_by", _TEXT(), nullable=True),
        sa.Column("executed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(_SUBJECT, name="ck_legal_case_subject"),
        sa.CheckConstraint("approved_by <> maker", name="ck_legal_case_four_eyes"),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"]),
        sa.ForeignKeyConstraint(["investor_id"], ["investor.id"]),
        sa.ForeignKeyConstraint(["order_id"], ["court_order.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    for column in ("document_id", "investor_id", "wallet"):
        op.create_index(f"ix_legal_case_{column}", "legal_case", [column])
    op.create_table(
        "case_lift",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("legal_basis", _TEXT(), nullable=False),
        sa.Column("reason", _TEXT(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("document_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("maker", _TEXT(), nullable=False),
        sa.Column("approved_by", _TEXT(), nullable=True),
        sa.Column("dropped", sa.Boolean(), nullable=False),
        sa.CheckConstraint("approved_by <> maker", name="ck_case_lift_four_eyes"),
        sa.ForeignKeyConstraint(["case_id"], ["legal_case.id"]),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "uq_case_lift_open",
        "case_lift",
        ["case_id"],
        unique=True,
        postgresql_where=sa.text("NOT dropped"),
    )
    op.create_table(
        "case_act",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("case_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("tokenization_id", sa.Uuid(), nullable=False),
        sa.Column("wallet", sa.LargeBinary(), nullable=False),
        sa.Column("counterparty", sa.LargeBinary(), nullable=True),
        sa.Column("units", sa.Numeric(precision=78, scale=0), nullable=True),
        sa.Column("lift_id", sa.Uuid(), nullable=True),
        sa.Column("operation_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("number > 0 AND units > 0", name="ck_case_act_positive"),
        sa.ForeignKeyConstraint(["case_id"], ["legal_case.id"]),
        sa.ForeignKeyConstraint(["lift_id"], ["case_lift.id"]),
        sa.ForeignKeyConstraint(["operation_id"], ["operation.id"]),
        sa.ForeignKeyConstraint(["tokenization_id"], ["tokenization.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("case_id", "number", name="uq_case_act_number"),
    )
    for column in ("tokenization_id", "wallet"):
        op.create_index(f"ix_case_act_{column}", "case_act", [column])


def downgrade() -> None:
    for table in ("case_act", "case_lift", "legal_case"):
        op.drop_table(table)

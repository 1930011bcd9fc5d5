"""KYC reviews with their papers, and freezes that follow from their end."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString
_GROUND = (
    "(document_id IS NULL) = (kyc_review_id IS NOT NULL)"
    " AND (document_id IS NULL) = (document_sha256 IS NULL)"
)

# What was decided before reviews were kept: by one officer, of whom we know no recommendation.
_DECIDED_BEFORE = """
INSERT INTO kyc_review (id, recorded_at, investor_id, state, opened_by, risk, review_sha256,
    checker, valid_until)
SELECT gen_random_uuid(), now(), id, 'APPROVED', subject, 'MEDIUM', kyc_evidence_sha256,
    kyc_decided_by, kyc_valid_until
FROM investor
WHERE kyc_state = 'APPROVED' AND kyc_valid_until IS NOT NULL AND kyc_evidence_sha256 IS NOT NULL
"""


def upgrade() -> None:
    op.create_table(
        "kyc_review",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("investor_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("renews_id", sa.Uuid(), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=True),
        sa.Column("sealed_with", sa.LargeBinary(), nullable=True),
        sa.Column("opened_by", _TEXT(), nullable=False),
        sa.Column("submitted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("maker", _TEXT(), nullable=True),
        sa.Column("recommendation", sa.String(), nullable=True),
        sa.Column("risk", sa.String(), nullable=True),
        sa.Column("is_pep", sa.Boolean(), nullable=True),
        sa.Column("reason", _TEXT(), nullable=True),
        sa.Column("review_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("checker", _TEXT(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", _TEXT(), nullable=True),
        sa.Column("valid_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_by", _TEXT(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", _TEXT(), nullable=True),
        sa.CheckConstraint(
            "acting_person(checker) <> acting_person(maker)", name="ck_kyc_review_four_eyes"
        ),
        sa.CheckConstraint(
            "state NOT IN ('APPROVED', 'SUPERSEDED', 'LAPSED', 'REVOKED')"
            " OR (valid_until IS NOT NULL AND review_sha256 IS NOT NULL)",
            name="ck_kyc_review_decided",
        ),
        sa.CheckConstraint("octet_length(review_sha256) = 32", name="ck_kyc_review_hash"),
        sa.ForeignKeyConstraint(["investor_id"], ["investor.id"]),
        sa.ForeignKeyConstraint(["renews_id"], ["kyc_review.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_kyc_review_investor_id", "kyc_review", ["investor_id"])
    op.create_index("ix_kyc_review_sealed_with", "kyc_review", ["sealed_with"])
    for name, states in (
        ("uq_kyc_review_open", "state IN ('DRAFT', 'SUBMITTED', 'RECOMMENDED')"),
        ("uq_kyc_review_approved", "state = 'APPROVED'"),
    ):
        op.create_index(
            name, "kyc_review", ["investor_id"], unique=True, postgresql_where=sa.text(states)
        )
    op.create_table(
        "kyc_paper",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("review_id", sa.Uuid(), nullable=False),
        sa.Column("kind", _TEXT(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("media_type", _TEXT(), nullable=False),
        sa.Column("stored_as", sa.LargeBinary(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_with", sa.LargeBinary(), nullable=False),
        sa.Column("uploaded_by", _TEXT(), nullable=False),
        sa.ForeignKeyConstraint(["review_id"], ["kyc_review.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("review_id", "sha256", name="uq_kyc_paper_sha256"),
    )
    op.create_index("ix_kyc_paper_review_id", "kyc_paper", ["review_id"])
    op.create_index("ix_kyc_paper_sealed_with", "kyc_paper", ["sealed_with"])
    op.execute(_DECIDED_BEFORE)
    for table, more in (
        ("legal_case", " AND (kyc_review_id IS NULL OR kind = 'FREEZE_WALLET')"),
        ("case_lift", ""),
    ):
        op.add_column(table, sa.Column("kyc_review_id", sa.Uuid(), nullable=True))
        op.create_foreign_key(
            f"{table}_kyc_review_id_fkey", table, "kyc_review", ["kyc_review_id"], ["id"]
        )
        for column in ("document_id", "document_sha256"):
            op.alter_column(table, column, nullable=True)
        op.create_check_constraint(f"ck_{table}_ground", table, _GROUND + more)
    op.create_index("ix_legal_case_kyc_review_id", "legal_case", ["kyc_review_id"])


def downgrade() -> None:
    op.drop_index("ix_legal_case_kyc_review_id", "legal_case")
    for table in ("case_lift", "legal_case"):
        op.drop_constraint(f"ck_{table}_ground", table)
        # What rests on no paper cannot stand in the older table.
        for column in ("document_id", "document_sha256"):
            op.alter_column(table, column, nullable=False)
        op.drop_column(table, "kyc_review_id")
    op.drop_table("kyc_paper")
    op.drop_table("kyc_review")

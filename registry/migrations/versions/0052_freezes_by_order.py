"""Freezes that an order itself imposes and ends: no paper of their own, and no approval."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0057"
branch_labels = None
depends_on = None

_PAPERS = "(document_id IS NULL) = (document_sha256 IS NULL)"
_KYC = f"(document_id IS NULL) = (kyc_review_id IS NOT NULL) AND {_PAPERS}"
_BEFORE = {
    "legal_case": f"{_KYC} AND (kyc_review_id IS NULL OR kind = 'FREEZE_WALLET')",
    "case_lift": _KYC,
}
_AFTER = {
    "legal_case": f"{_PAPERS} AND CASE"
    " WHEN document_id IS NOT NULL THEN kyc_review_id IS NULL"
    " WHEN kyc_review_id IS NOT NULL THEN order_id IS NULL AND kind = 'FREEZE_WALLET'"
    " ELSE order_id IS NOT NULL AND kind IN ('FREEZE_WALLET', 'FREEZE_UNITS') END",
    "case_lift": f"{_PAPERS} AND num_nonnulls(document_id, kyc_review_id, order_id) = 1",
}


def upgrade() -> None:
    op.add_column("case_lift", sa.Column("order_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        "case_lift_order_id_fkey", "case_lift", "court_order", ["order_id"], ["id"]
    )
    op.create_index("ix_legal_case_order_id", "legal_case", ["order_id"])
    _check(_AFTER)


def downgrade() -> None:
    _check(_BEFORE)
    op.drop_index("ix_legal_case_order_id", "legal_case")
    op.drop_column("case_lift", "order_id")


def _check(grounds: dict[str, str]) -> None:
    for table, ground in grounds.items():
        op.drop_constraint(f"ck_{table}_ground", table)
        op.create_check_constraint(f"ck_{table}_ground", table, ground)

"""Lifecycles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_IN_FORCE = "state IN ('ACTIVE', 'DISCHARGE_PENDING', 'ENFORCEMENT')"
_SECURITY = "kind IN ('MORTGAGE', 'CHARGE', 'PLEDGE')"

# What was in force before terms had versions gets its first one.
_FIRST_TERMS = """
INSERT INTO encumbrance_terms (
    id, recorded_at, encumbrance_id, seq, effect, rank, amount_paisa, holder_id, lender_consent,
    ends_on, source_document_id, valid_from, maker, checker
)
SELECT
    uuidv7(), recorded_at, id, 1, effect, rank, amount_paisa, holder_id, lender_consent,
    ends_on, source_document_id, recorded_at, maker, checker
FROM encumbrance WHERE state IN ('ACTIVE', 'DISCHARGE_PENDING', 'ENFORCEMENT')
"""


def _instant(name: str, *, nullable: bool = True) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _text(name: str, *, nullable: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.String(), nullable=nullable)


def upgrade() -> None:
    op.add_column("asset", _instant("requisitioned_at"))
    op.execute("UPDATE asset SET requisitioned_at = now() WHERE state = 'REQUISITIONED'")
    _let_encumbrances_vary()
    _give_valuations_a_range()
    _let_approvals_be_given_again()
    _make_causes_and_amendments()


def _let_encumbrances_vary() -> None:
    for column in (
        sa.Column("consent_document_id", sa.Uuid(), sa.ForeignKey("document.id")),
        _instant("valid_from"),
        _instant("valid_to"),
        _text("asked_by"),
        _text("decided_by"),
        sa.Column("closing_document_id", sa.Uuid(), sa.ForeignKey("document.id")),
        _text("confirmation"),
    ):
        op.add_column("encumbrance", column)
    op.execute(
        "UPDATE encumbrance SET rank = NULL WHERE kind NOT IN ('MORTGAGE', 'CHARGE', 'PLEDGE')"
    )
    op.execute(
        "UPDATE encumbrance SET valid_from = recorded_at WHERE state NOT IN ('LODGED', 'REJECTED')"
    )
    op.drop_index("uq_encumbrance_rank", "encumbrance")
    op.create_index(
        "uq_encumbrance_rank",
        "encumbrance",
        ["title_id", "rank"],
        unique=True,
        postgresql_where=sa.text(f"{_SECURITY} AND {_IN_FORCE}"),
    )
    op.create_check_constraint("ck_encumbrance_rank", "encumbrance", f"rank IS NULL OR {_SECURITY}")
    op.create_table(
        "encumbrance_terms",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _instant("recorded_at", nullable=False),
        sa.Column("encumbrance_id", sa.Uuid(), sa.ForeignKey("encumbrance.id"), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        _text("effect", nullable=False),
        sa.Column("rank", sa.Integer()),
        sa.Column("amount_paisa", sa.BigInteger()),
        sa.Column("holder_id", sa.Uuid(), sa.ForeignKey("party.id")),
        sa.Column("lender_consent", sa.Boolean(), nullable=False),
        sa.Column("consent_document_id", sa.Uuid(), sa.ForeignKey("document.id")),
        sa.Column("ends_on", sa.Date()),
        sa.Column("source_document_id", sa.Uuid(), sa.ForeignKey("document.id"), nullable=False),
        _instant("valid_from"),
        _instant("valid_to"),
        _instant("superseded_at"),
        _text("maker", nullable=False),
        _text("checker"),
        sa.UniqueConstraint("encumbrance_id", "seq", name="uq_encumbrance_terms_seq"),
    )
    op.create_index("ix_encumbrance_terms_encumbrance_id", "encumbrance_terms", ["encumbrance_id"])
    op.create_index(
        "uq_encumbrance_terms_current",
        "encumbrance_terms",
        ["encumbrance_id"],
        unique=True,
        postgresql_where=sa.text("valid_from IS NOT NULL AND valid_to IS NULL"),
    )
    op.execute(_FIRST_TERMS)


def _give_valuations_a_range() -> None:
    op.add_column("valuation", sa.Column("low_paisa", sa.BigInteger()))
    op.add_column("valuation", sa.Column("high_paisa", sa.BigInteger()))
    op.add_column("valuation", _text("second_checker"))
    op.add_column(
        "valuation",
        sa.Column("changed_much", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.alter_column("valuation", "changed_much", server_default=None)
    op.add_column("valuation", _text("reason"))
    op.create_check_constraint(
        "ck_valuation_range",
        "valuation",
        "low_paisa > 0 AND low_paisa <= amount_paisa AND amount_paisa <= high_paisa",
    )


def _let_approvals_be_given_again() -> None:
    op.add_column("approval", _instant("voided_at"))
    op.drop_constraint("uq_approval_person", "approval")
    op.create_index(
        "uq_approval_person",
        "approval",
        ["subject_id", "dossier_hash", "person"],
        unique=True,
        postgresql_where=sa.text("voided_at IS NULL"),
    )


def _make_causes_and_amendments() -> None:
    op.create_table(
        "suspension_cause",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _instant("recorded_at", nullable=False),
        sa.Column("asset_id", sa.Uuid(), sa.ForeignKey("asset.id"), nullable=False),
        _text("kind", nullable=False),
        _text("reference", nullable=False),
        _text("reason", nullable=False),
        sa.Column("by_court", sa.Boolean(), nullable=False),
        _text("opened_by", nullable=False),
        _instant("closed_at"),
        _text("closed_by"),
        _text("closing"),
        _instant("reinstated_at"),
    )
    op.create_index("ix_suspension_cause_asset_id", "suspension_cause", ["asset_id"])
    op.create_index(
        "uq_suspension_cause_open",
        "suspension_cause",
        ["asset_id", "kind", "reference"],
        unique=True,
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_table(
        "amendment",
        sa.Column("id", sa.Uuid(), primary_key=True),
        _instant("recorded_at", nullable=False),
        sa.Column("asset_id", sa.Uuid(), sa.ForeignKey("asset.id"), nullable=False),
        _text("state", nullable=False),
        _text("reason", nullable=False),
        sa.Column("after", JSONB(), nullable=False),
        sa.Column("diff", JSONB(), nullable=False),
        sa.Column("amended_hash", sa.LargeBinary(), nullable=False),
        _text("maker", nullable=False),
        _text("checker"),
        _instant("decided_at"),
        sa.CheckConstraint("checker <> maker", name="ck_amendment_four_eyes"),
    )
    op.create_index("ix_amendment_asset_id", "amendment", ["asset_id"])
    op.create_index(
        "uq_amendment_open",
        "amendment",
        ["asset_id"],
        unique=True,
        postgresql_where=sa.text("state = 'PROPOSED'"),
    )


def downgrade() -> None:
    op.drop_table("amendment")
    op.drop_table("suspension_cause")
    op.drop_index("uq_approval_person", "approval")
    # Given twice means voided once: only the standing ones fit the older constraint.
    op.execute("DELETE FROM approval WHERE voided_at IS NOT NULL")
    op.create_unique_constraint(
        "uq_approval_person", "approval", ["subject_id", "dossier_hash", "person"]
    )
    op.drop_column("approval", "voided_at")
    op.drop_constraint("ck_valuation_range", "valuation")
    for name in ("reason", "changed_much", "second_checker", "high_paisa", "low_paisa"):
        op.drop_column("valuation", name)
    op.drop_table("encumbrance_terms")
    op.drop_constraint("ck_encumbrance_rank", "encumbrance")
    op.drop_index("uq_encumbrance_rank", "encumbrance")
    op.create_index(
        "uq_encumbrance_rank",
        "encumbrance",
        ["title_id", "rank"],
        unique=True,
        postgresql_where=sa.text(_IN_FORCE),
    )
    for name in (
        "confirmation",
        "closing_document_id",
        "decided_by",
        "asked_by",
        "valid_to",
        "valid_from",
        "consent_document_id",
    ):
        op.drop_column("encumbrance", name)
    op.drop_column("asset", "requisitioned_at")

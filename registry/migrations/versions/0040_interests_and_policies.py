"""Interests that legal persons declare, and thresholds as rows."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0040"
down_revision = "0046"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString

# At COMMIT: a declaration and its lines are written in any order within a transaction.
_PARTS_FIT_THE_WHOLE = """
CREATE FUNCTION check_interest_parts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    declaration uuid := CASE WHEN TG_TABLE_NAME = 'interest_declaration'
        THEN NEW.id ELSE NEW.declaration_id END;
    whole_parts bigint;
    total numeric;
BEGIN
    SELECT whole INTO whole_parts FROM interest_declaration WHERE id = declaration;
    SELECT sum(parts) INTO total FROM declared_interest WHERE declaration_id = declaration;
    IF total > whole_parts THEN
        RAISE EXCEPTION 'The interests of declaration % sum to % of %',
            declaration, total, whole_parts
            USING ERRCODE = 'check_violation', CONSTRAINT = 'interests_within_whole';
    END IF;
    RETURN NULL;
END $$
"""
_ON_LINE = """
CREATE CONSTRAINT TRIGGER declared_interest_parts AFTER INSERT ON declared_interest
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_interest_parts()
"""

# A line is never changed, and of a declaration only the decision is written, once.
_LINES_STAY = """
CREATE TRIGGER declared_interest_append_only BEFORE UPDATE OR DELETE
ON declared_interest FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
"""
_DECLARATIONS_STAY = """
CREATE FUNCTION refuse_other_declaration() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    decision text[] := ARRAY['state', 'checker', 'decided_at', 'reason'];
BEGIN
    IF TG_OP = 'DELETE' OR OLD.state <> 'PROPOSED'
        OR to_jsonb(OLD) - decision <> to_jsonb(NEW) - decision THEN
        RAISE EXCEPTION 'Declaration % stays as it was declared', OLD.id
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'declarations_stay';
    END IF;
    RETURN NEW;
END $$
"""
_ON_DECLARATION = """
CREATE TRIGGER interest_declaration_stays BEFORE UPDATE OR DELETE
ON interest_declaration FOR EACH ROW EXECUTE FUNCTION refuse_other_declaration()
"""


def _record() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
    ]


def upgrade() -> None:
    _create_policies()
    _create_declarations()
    _create_lines()
    for statement in (
        _PARTS_FIT_THE_WHOLE,
        _ON_LINE,
        _LINES_STAY,
        _DECLARATIONS_STAY,
        _ON_DECLARATION,
    ):
        op.execute(statement)
    # Among a million persons the companies and groups are few, and looked for by token.
    op.create_index(
        "ix_party_entity", "party", ["id"], postgresql_where=sa.text("kind <> 'NATURAL'")
    )
    # What reports ask for: the payments of a day, the parcels of an estate.
    op.create_index("ix_payment_received_at", "payment", ["received_at"])
    op.create_index("ix_parcel_mauza_key", "parcel", ["mauza_key"])


def _create_policies() -> None:
    op.create_table(
        "policy_row",
        *_record(),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("numerator", sa.BigInteger(), nullable=False),
        sa.Column("denominator", sa.BigInteger(), nullable=False),
        sa.Column("source", _TEXT(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("proposed_by", _TEXT(), nullable=False),
        sa.Column("confirmed_by", _TEXT(), nullable=True),
        sa.CheckConstraint("numerator >= 0 AND denominator > 0", name="ck_policy_row_value"),
        sa.CheckConstraint(
            "acting_person(confirmed_by) <> acting_person(proposed_by)",
            name="ck_policy_row_four_eyes",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_policy_row_name", "policy_row", ["name", "valid_from"])


def _create_declarations() -> None:
    op.create_table(
        "interest_declaration",
        *_record(),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("declared_on", sa.Date(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("whole", sa.BigInteger(), nullable=False),
        sa.Column("paper_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("maker", _TEXT(), nullable=False),
        sa.Column("checker", _TEXT(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", _TEXT(), nullable=True),
        sa.CheckConstraint("whole > 0", name="ck_interest_declaration_whole"),
        sa.CheckConstraint("valid_to > valid_from", name="ck_interest_declaration_valid"),
        sa.CheckConstraint("octet_length(paper_sha256) = 32", name="ck_interest_declaration_paper"),
        sa.CheckConstraint(
            "(state = 'PROPOSED') = (checker IS NULL) AND (checker IS NULL) = (decided_at IS NULL)",
            name="ck_interest_declaration_decided",
        ),
        sa.CheckConstraint(
            "acting_person(checker) <> acting_person(maker)",
            name="ck_interest_declaration_four_eyes",
        ),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_interest_declaration_party_id", "interest_declaration", ["party_id"])


def _create_lines() -> None:
    op.create_table(
        "declared_interest",
        *_record(),
        sa.Column("declaration_id", sa.Uuid(), nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("nature", sa.String(), nullable=False),
        sa.Column("parts", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "(nature IN ('SHAREHOLDER', 'BENEFICIARY')) = (parts IS NOT NULL)",
            name="ck_declared_interest_parts",
        ),
        sa.CheckConstraint("parts > 0", name="ck_declared_interest_positive"),
        sa.ForeignKeyConstraint(["declaration_id"], ["interest_declaration.id"]),
        sa.ForeignKeyConstraint(["holder_id"], ["party.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint(
            "declaration_id", "holder_id", "nature", name="uq_declared_interest_holder"
        ),
    )
    op.create_index("ix_declared_interest_holder_id", "declared_interest", ["holder_id"])


def downgrade() -> None:
    op.drop_index("ix_parcel_mauza_key", table_name="parcel")
    op.drop_index("ix_payment_received_at", table_name="payment")
    op.drop_index("ix_party_entity", table_name="party")
    for table in ("declared_interest", "interest_declaration", "policy_row"):
        op.drop_table(table)
    for function in ("check_interest_parts", "refuse_other_declaration"):
        op.execute(f"DROP FUNCTION {function}")

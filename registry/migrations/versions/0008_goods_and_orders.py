"""Goods and orders: receipts, bills of lading, court orders, redemptions, breaks."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# EBL-01: whether a container is under a live bill follows from the bill's state, and from
# nothing that anybody writes; the partial unique index then refuses the second bill.
_EQUIPMENT_IS_AS_LIVE_AS_ITS_BILL = """
CREATE FUNCTION keep_bill_equipment_live() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'bill_of_lading' THEN
        UPDATE bill_equipment SET live = live WHERE bill_id = NEW.id;
        RETURN NULL;
    END IF;
    SELECT state NOT IN (
        'DRAFT', 'APPROVED', 'VOIDED', 'SURRENDERED_FOR_DELIVERY', 'SWITCHED_TO_PAPER'
    ) INTO NEW.live FROM bill_of_lading WHERE id = NEW.bill_id;
    RETURN NEW;
END $$
"""

_ON_BILL_STATE = """
CREATE TRIGGER bill_of_lading_equipment AFTER UPDATE OF state ON bill_of_lading
FOR EACH ROW EXECUTE FUNCTION keep_bill_equipment_live()
"""

_ON_EQUIPMENT = """
CREATE TRIGGER bill_equipment_live BEFORE INSERT OR UPDATE ON bill_equipment
FOR EACH ROW EXECUTE FUNCTION keep_bill_equipment_live()
"""

# EBL-01: what was endorsed was endorsed.
_CHAIN_IS_APPEND_ONLY = """
CREATE FUNCTION refuse_endorsement_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'EBL-01: the endorsement chain is append-only'
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'ebl_01';
END $$
"""

_ON_ENDORSEMENT = """
CREATE TRIGGER bill_endorsement_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
ON bill_endorsement FOR EACH STATEMENT EXECUTE FUNCTION refuse_endorsement_change()
"""

# EBL-01, at COMMIT: a bill that somebody holds was issued in the chain that is in force.
_HELD_MEANS_ISSUED = """
CREATE FUNCTION check_bill_is_issued() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM bill_of_lading b WHERE b.id = NEW.id AND b.holder_id IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM bill_endorsement e
            WHERE e.bill_id = b.id AND e.chain_no = b.chain_no AND e.action = 'ISSUE'
        )
    ) THEN
        RAISE EXCEPTION 'EBL-01: bill % has a holder and no issue', NEW.id
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ebl_01';
    END IF;
    RETURN NULL;
END $$
"""

_ON_HOLDER = """
CREATE CONSTRAINT TRIGGER bill_of_lading_issued AFTER INSERT OR UPDATE OF holder_id, chain_no
ON bill_of_lading DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
EXECUTE FUNCTION check_bill_is_issued()
"""


def upgrade() -> None:
    op.create_table(
        "bill_of_lading",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("reference", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("carrier", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("is_to_order", sa.Boolean(), nullable=False),
        sa.Column("voyage", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("shipper_id", sa.Uuid(), nullable=False),
        sa.Column("consignee_id", sa.Uuid(), nullable=True),
        sa.Column("holder_id", sa.Uuid(), nullable=True),
        sa.Column("beneficiary_id", sa.Uuid(), nullable=True),
        sa.Column("chain_no", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("offer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("maker", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.CheckConstraint(
            "holder_id IS NOT NULL OR state IN ('DRAFT', 'APPROVED', 'VOIDED')",
            name="ck_bill_of_lading_one_holder",
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"],
            ["asset.id"],
        ),
        sa.ForeignKeyConstraint(
            ["beneficiary_id"],
            ["party.id"],
        ),
        sa.ForeignKeyConstraint(
            ["consignee_id"],
            ["party.id"],
        ),
        sa.ForeignKeyConstraint(
            ["holder_id"],
            ["party.id"],
        ),
        sa.ForeignKeyConstraint(
            ["shipper_id"],
            ["party.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("carrier", "reference", name="uq_bill_of_lading_reference"),
    )
    op.create_index(
        op.f("ix_bill_of_lading_asset_id"), "bill_of_lading", ["asset_id"], unique=False
    )
    op.create_table(
        "warehouse_receipt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("key", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("warehouse", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("accredited_until", sa.Date(), nullable=False),
        sa.Column("holder_id", sa.Uuid(), nullable=False),
        sa.Column("pledgee_id", sa.Uuid(), nullable=True),
        sa.Column("qty_kg", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("pledged_kg", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("tokenized_kg", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("loss_kg", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("delivered_kg", sa.Numeric(precision=24, scale=6), nullable=False),
        sa.Column("grade", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("quality", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("insured_paisa", sa.BigInteger(), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("proceeds_paisa", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("offer", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("maker", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.CheckConstraint(
            "pledgee_id IS NOT NULL OR state NOT IN ('PLEDGED', 'INVOKED')",
            name="ck_warehouse_receipt_pledgee",
        ),
        sa.CheckConstraint(
            "qty_kg > 0 AND pledged_kg >= 0 AND tokenized_kg >= 0 AND loss_kg >= 0"
            " AND delivered_kg >= 0"
            " AND pledged_kg + tokenized_kg + loss_kg + delivered_kg <= qty_kg",
            name="ck_warehouse_receipt_covered",
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"],
            ["asset.id"],
        ),
        sa.ForeignKeyConstraint(
            ["holder_id"],
            ["party.id"],
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"],
            ["warehouse_receipt.id"],
        ),
        sa.ForeignKeyConstraint(
            ["pledgee_id"],
            ["party.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key", name="uq_warehouse_receipt_key"),
    )
    op.create_index(
        op.f("ix_warehouse_receipt_asset_id"), "warehouse_receipt", ["asset_id"], unique=False
    )
    op.create_table(
        "bill_endorsement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("chain_no", sa.Integer(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("actor", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("from_party_id", sa.Uuid(), nullable=True),
        sa.Column("to_party_id", sa.Uuid(), nullable=True),
        sa.Column("reference", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.CheckConstraint(
            "(action = 'ISSUE') = (seq = 1)", name="ck_bill_endorsement_issue_first"
        ),
        sa.CheckConstraint("seq >= 1", name="ck_bill_endorsement_seq"),
        sa.ForeignKeyConstraint(
            ["bill_id"],
            ["bill_of_lading.id"],
        ),
        sa.ForeignKeyConstraint(
            ["from_party_id"],
            ["party.id"],
        ),
        sa.ForeignKeyConstraint(
            ["to_party_id"],
            ["party.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("bill_id", "chain_no", "seq", name="uq_bill_endorsement_seq"),
    )
    op.create_table(
        "bill_equipment",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("bill_id", sa.Uuid(), nullable=False),
        sa.Column("equipment", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("voyage", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["bill_id"],
            ["bill_of_lading.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("bill_id", "equipment", name="uq_bill_equipment"),
    )
    op.create_index(
        "uq_bill_equipment_live",
        "bill_equipment",
        ["equipment", "voyage"],
        unique=True,
        postgresql_where=sa.text("live"),
    )
    op.create_table(
        "reconciliation_break",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tokenization_id", sa.Uuid(), nullable=False),
        sa.Column("rule", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("subject", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("detail", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("fix", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("investigated_by", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("proposed_by", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("closed_by", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.ForeignKeyConstraint(
            ["tokenization_id"],
            ["tokenization.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_reconciliation_break_tokenization_id"),
        "reconciliation_break",
        ["tokenization_id"],
        unique=False,
    )
    op.create_index(
        "uq_reconciliation_break_open",
        "reconciliation_break",
        ["tokenization_id", "rule", "subject"],
        unique=True,
        postgresql_where=sa.text("state NOT IN ('RESOLVED', 'WRITTEN_OFF')"),
    )
    op.create_table(
        "redemption",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tokenization_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("price_paisa", sa.BigInteger(), nullable=False),
        sa.Column("price_basis", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("record_on", sa.Date(), nullable=False),
        sa.Column("vote_until", sa.Date(), nullable=False),
        sa.Column("long_stop_on", sa.Date(), nullable=False),
        sa.Column("vote_block", sa.BigInteger(), nullable=True),
        sa.Column("vote_supply_units", sa.Numeric(precision=78, scale=0), nullable=True),
        sa.Column("record_block", sa.BigInteger(), nullable=True),
        sa.Column("cap_table_hash", sa.LargeBinary(), nullable=True),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("funded_paisa", sa.BigInteger(), nullable=False),
        sa.Column("escrow_reference", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("maker", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.CheckConstraint("price_paisa >= 0 AND funded_paisa >= 0", name="ck_redemption_money"),
        sa.ForeignKeyConstraint(
            ["tokenization_id"],
            ["tokenization.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_redemption_tokenization_id"), "redemption", ["tokenization_id"], unique=False
    )
    op.create_index(
        "uq_redemption_alive",
        "redemption",
        ["tokenization_id"],
        unique=True,
        postgresql_where=sa.text("state NOT IN ('SETTLED', 'REJECTED', 'ABORTED')"),
    )
    op.create_table(
        "register_statement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tokenization_id", sa.Uuid(), nullable=False),
        sa.Column("register_of_record", sa.String(), nullable=False),
        sa.Column("as_of", sa.Date(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("uploaded_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("differences", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["tokenization_id"],
            ["tokenization.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_register_statement_tokenization_id"),
        "register_statement",
        ["tokenization_id"],
        unique=False,
    )
    op.create_table(
        "court_order",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("authority", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("case_no", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=True),
        sa.Column("party_id", sa.Uuid(), nullable=True),
        sa.Column("wallet", sa.LargeBinary(), nullable=True),
        sa.Column("tokenization_id", sa.Uuid(), nullable=True),
        sa.Column("amount_units", sa.Numeric(precision=78, scale=0), nullable=True),
        sa.Column("document_id", sa.Uuid(), nullable=True),
        sa.Column("document_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("ends_on", sa.Date(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("encumbrance_id", sa.Uuid(), nullable=True),
        sa.Column("pause_wanted", sa.Boolean(), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("vacating_sha256", sa.LargeBinary(), nullable=True),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("maker", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("authenticated_by", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.CheckConstraint(
            "CASE scope"
            " WHEN 'ASSET' THEN asset_id IS NOT NULL AND document_id IS NOT NULL"
            " WHEN 'PARTY' THEN party_id IS NOT NULL"
            " WHEN 'WALLET' THEN wallet IS NOT NULL"
            " ELSE wallet IS NOT NULL AND amount_units > 0 AND tokenization_id IS NOT NULL END",
            name="ck_court_order_scope",
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"],
            ["asset.id"],
        ),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["document.id"],
        ),
        sa.ForeignKeyConstraint(
            ["encumbrance_id"],
            ["encumbrance.id"],
        ),
        sa.ForeignKeyConstraint(
            ["party_id"],
            ["party.id"],
        ),
        sa.ForeignKeyConstraint(
            ["tokenization_id"],
            ["tokenization.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_court_order_asset_id"), "court_order", ["asset_id"], unique=False)
    op.create_index(op.f("ix_court_order_party_id"), "court_order", ["party_id"], unique=False)
    op.create_table(
        "redemption_payout",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("redemption_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=True),
        sa.Column("units", sa.Numeric(precision=78, scale=0), nullable=False),
        sa.Column("frozen_units", sa.Numeric(precision=78, scale=0), nullable=False),
        sa.Column("amount_paisa", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("rail_reference", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.Column("reason", sqlmodel.sql.sqltypes.AutoString(), nullable=True),
        sa.CheckConstraint("units > 0 AND amount_paisa >= 0", name="ck_redemption_payout"),
        sa.ForeignKeyConstraint(
            ["party_id"],
            ["party.id"],
        ),
        sa.ForeignKeyConstraint(
            ["redemption_id"],
            ["redemption.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("redemption_id", "address", name="uq_redemption_payout"),
    )
    op.create_table(
        "redemption_vote",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("redemption_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("in_favour", sa.Boolean(), nullable=False),
        sa.Column("units", sa.Numeric(precision=78, scale=0), nullable=False),
        sa.Column("cast_by", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.CheckConstraint("units > 0", name="ck_redemption_vote_units"),
        sa.ForeignKeyConstraint(
            ["party_id"],
            ["party.id"],
        ),
        sa.ForeignKeyConstraint(
            ["redemption_id"],
            ["redemption.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("redemption_id", "party_id", name="uq_redemption_vote"),
    )
    op.create_table(
        "register_statement_row",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("statement_id", sa.Uuid(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("units", sa.Numeric(precision=78, scale=0), nullable=False),
        sa.CheckConstraint("units > 0", name="ck_register_statement_row_units"),
        sa.ForeignKeyConstraint(
            ["party_id"],
            ["party.id"],
        ),
        sa.ForeignKeyConstraint(
            ["statement_id"],
            ["register_statement.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("statement_id", "party_id", name="uq_register_statement_row"),
    )
    for statement in (
        _EQUIPMENT_IS_AS_LIVE_AS_ITS_BILL,
        _ON_BILL_STATE,
        _ON_EQUIPMENT,
        _CHAIN_IS_APPEND_ONLY,
        _ON_ENDORSEMENT,
        _HELD_MEANS_ISSUED,
        _ON_HOLDER,
    ):
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("register_statement_row")
    op.drop_table("redemption_vote")
    op.drop_table("redemption_payout")
    op.drop_index(op.f("ix_court_order_party_id"), table_name="court_order")
    op.drop_index(op.f("ix_court_order_asset_id"), table_name="court_order")
    op.drop_table("court_order")
    op.drop_index(op.f("ix_register_statement_tokenization_id"), table_name="register_statement")
    op.drop_table("register_statement")
    op.drop_index(
        "uq_redemption_alive",
        table_name="redemption",
        postgresql_where=sa.text("state NOT IN ('SETTLED', 'REJECTED', 'ABORTED')"),
    )
    op.drop_index(op.f("ix_redemption_tokenization_id"), table_name="redemption")
    op.drop_table("redemption")
    op.drop_index(
        "uq_reconciliation_break_open",
        table_name="reconciliation_break",
        postgresql_where=sa.text("state NOT IN ('RESOLVED', 'WRITTEN_OFF')"),
    )
    op.drop_index(
        op.f("ix_reconciliation_break_tokenization_id"), table_name="reconciliation_break"
    )
    op.drop_table("reconciliation_break")
    op.drop_index(
        "uq_bill_equipment_live", table_name="bill_equipment", postgresql_where=sa.text("live")
    )
    op.drop_table("bill_equipment")
    op.drop_table("bill_endorsement")
    op.drop_index(op.f("ix_warehouse_receipt_asset_id"), table_name="warehouse_receipt")
    op.drop_table("warehouse_receipt")
    op.drop_index(op.f("ix_bill_of_lading_asset_id"), table_name="bill_of_lading")
    op.drop_table("bill_of_lading")
    op.execute("DROP FUNCTION check_bill_is_issued")
    op.execute("DROP FUNCTION refuse_endorsement_change")
    op.execute("DROP FUNCTION keep_bill_equipment_live")

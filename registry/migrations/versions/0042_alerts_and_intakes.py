"""Alerts, and what is taken in for reports: complaints, incidents, filings, readings, counts."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0042"
down_revision = "0047"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString
_READING = "act IN ('personal_data_read', 'report_read', 'document_read', 'kyc_paper_read')"


def _record() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
    ]


def upgrade() -> None:
    op.create_table(
        "alert",
        *_record(),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("key", _TEXT(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=True),
        sa.Column("wallet", sa.LargeBinary(), nullable=True),
        sa.Column("tokenization_id", sa.Uuid(), nullable=True),
        sa.Column("evidence", postgresql.JSONB(), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=True),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.Column("block_hash", sa.LargeBinary(), nullable=True),
        sa.Column("tx_hash", sa.LargeBinary(), nullable=True),
        sa.Column("happened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("taken_back_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reviewed_by", _TEXT(), nullable=True),
        sa.Column("reason", _TEXT(), nullable=True),
        sa.Column("decided_by", _TEXT(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decision_reason", _TEXT(), nullable=True),
        sa.CheckConstraint(
            "state <> 'DISMISSED' OR acting_person(decided_by) <> acting_person(reviewed_by)",
            name="ck_alert_four_eyes",
        ),
        sa.CheckConstraint(
            'num_nulls(chain_id, block_number, block_hash, tx_hash) IN (0, 4)',
            name="ck_alert_place",
        ),
        sa.ForeignKeyConstraint(["tokenization_id"], ["tokenization.id"]),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key"),
    )
    op.create_index("ix_alert_block", "alert", ["chain_id", "block_number"])
    op.create_index("ix_alert_party_id", "alert", ["party_id"])
    op.create_index("ix_alert_tokenization_id", "alert", ["tokenization_id"])
    op.create_table(
        "alert_cursor",
        sa.Column("source", _TEXT(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=True),
        sa.Column("block_hash", sa.LargeBinary(), nullable=True),
        sa.Column("last_id", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("source"),
    )
    op.create_table(
        "complaint",
        *_record(),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=True),
        sa.Column("tokenization_id", sa.Uuid(), nullable=True),
        sa.Column("said", _TEXT(), nullable=False),
        sa.Column("loss_paisa", sa.BigInteger(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("maker", _TEXT(), nullable=False),
        sa.Column("investigated_by", _TEXT(), nullable=True),
        sa.Column("closed_by", _TEXT(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer", _TEXT(), nullable=True),
        sa.CheckConstraint(
            'loss_paisa >= 0',
            name="ck_complaint_loss",
        ),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.ForeignKeyConstraint(["tokenization_id"], ["tokenization.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_complaint_party_id", "complaint", ["party_id"])
    op.create_table(
        "incident",
        *_record(),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("title", _TEXT(), nullable=False),
        sa.Column("description", _TEXT(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("loss_paisa", sa.BigInteger(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("maker", _TEXT(), nullable=False),
        sa.Column("closed_by", _TEXT(), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cause", _TEXT(), nullable=True),
        sa.CheckConstraint(
            'acting_person(closed_by) <> acting_person(maker)',
            name="ck_incident_four_eyes",
        ),
        sa.CheckConstraint(
            'loss_paisa >= 0',
            name="ck_incident_loss",
        ),
        sa.CheckConstraint(
            'ended_at >= began_at',
            name="ck_incident_times",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "ctr_filing",
        *_record(),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("total_paisa", sa.BigInteger(), nullable=False),
        sa.Column("payment_ids", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("maker", _TEXT(), nullable=False),
        sa.Column("filed_by", _TEXT(), nullable=True),
        sa.Column("filed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("filed_reference", _TEXT(), nullable=True),
        sa.Column("reason", _TEXT(), nullable=True),
        sa.CheckConstraint(
            'acting_person(filed_by) <> acting_person(maker)',
            name="ck_ctr_filing_four_eyes",
        ),
        sa.CheckConstraint(
            "state = 'FILED' OR filed_reference IS NULL",
            name="ck_ctr_filing_reference",
        ),
        sa.CheckConstraint(
            'total_paisa > 0',
            name="ck_ctr_filing_total",
        ),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("filed_reference"),
    )
    op.create_index("uq_ctr_filing_day", "ctr_filing", ["party_id", "day"], unique=True, postgresql_where=sa.text("state <> 'WITHDRAWN'"))
    op.create_table(
        "str_case",
        *_record(),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("indicators", postgresql.JSONB(), nullable=False),
        sa.Column("alert_ids", postgresql.JSONB(), nullable=False),
        sa.Column("narrative", _TEXT(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("maker", _TEXT(), nullable=False),
        sa.Column("decided_by", _TEXT(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("filed_reference", _TEXT(), nullable=True),
        sa.Column("reason", _TEXT(), nullable=True),
        sa.CheckConstraint(
            'acting_person(decided_by) <> acting_person(maker)',
            name="ck_str_case_four_eyes",
        ),
        sa.CheckConstraint(
            "state = 'FILED' OR filed_reference IS NULL",
            name="ck_str_case_reference",
        ),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("filed_reference"),
    )
    op.create_index("ix_str_case_party_id", "str_case", ["party_id"])
    op.create_table(
        "energy_reading",
        *_record(),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("energy_mwh", sa.Numeric(20, 6), nullable=False),
        sa.Column("curtailed_mwh", sa.Numeric(20, 6), nullable=False),
        sa.Column("hashrate_phs", sa.Numeric(20, 6), nullable=True),
        sa.Column("uptime_percent", sa.Numeric(7, 4), nullable=False),
        sa.Column("mined_sats", sa.BigInteger(), nullable=True),
        sa.Column("payout_paisa", sa.BigInteger(), nullable=False),
        sa.Column("holders_paisa", sa.BigInteger(), nullable=False),
        sa.Column("statement_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("maker", _TEXT(), nullable=False),
        sa.Column("checker", _TEXT(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", _TEXT(), nullable=True),
        sa.CheckConstraint(
            'energy_mwh >= 0 AND curtailed_mwh >= 0 AND hashrate_phs >= 0 AND uptime_percent BETWEEN 0 AND 100 AND mined_sats >= 0 AND payout_paisa >= 0 AND holders_paisa BETWEEN 0 AND payout_paisa',
            name="ck_energy_reading_figures",
        ),
        sa.CheckConstraint(
            'acting_person(checker) <> acting_person(maker)',
            name="ck_energy_reading_four_eyes",
        ),
        sa.CheckConstraint(
            'extract(day FROM month) = 1',
            name="ck_energy_reading_month",
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("uq_energy_reading_confirmed", "energy_reading", ["asset_id", "month"], unique=True, postgresql_where=sa.text("state = 'CONFIRMED'"))
    op.create_index("uq_energy_reading_reported", "energy_reading", ["asset_id", "month"], unique=True, postgresql_where=sa.text("state = 'REPORTED'"))
    op.create_table(
        "stock_audit",
        *_record(),
        sa.Column("receipt_id", sa.Uuid(), nullable=False),
        sa.Column("audited_on", sa.Date(), nullable=False),
        sa.Column("counted_kg", sa.Numeric(20, 6), nullable=False),
        sa.Column("expected_kg", sa.Numeric(20, 6), nullable=False),
        sa.Column("auditor", _TEXT(), nullable=False),
        sa.Column("report_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("maker", _TEXT(), nullable=False),
        sa.CheckConstraint(
            'counted_kg >= 0 AND expected_kg >= 0',
            name="ck_stock_audit_kg",
        ),
        sa.ForeignKeyConstraint(["receipt_id"], ["warehouse_receipt.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_stock_audit_receipt_id", "stock_audit", ["receipt_id"])
    op.create_index(
        "ix_journal_entry_reading",
        "journal_entry",
        ["id"],
        postgresql_where=sa.text(_READING),
    )
    op.add_column(
        "court_order", sa.Column("in_force_at", sa.DateTime(timezone=True), nullable=True)
    )


def downgrade() -> None:
    op.drop_column("court_order", "in_force_at")
    op.drop_index("ix_journal_entry_reading", "journal_entry")
    for table in (
        "stock_audit",
        "energy_reading",
        "str_case",
        "ctr_filing",
        "incident",
        "complaint",
        "alert_cursor",
        "alert",
    ):
        op.drop_table(table)

"""Notices of what happened to somebody's orders, money and holdings, and webhooks that push them.

Triggers write the notices of orders, money, KYC, wallets and payouts: whatever changes such a row,
one at a time or a thousand by set, cannot forget to tell.
"""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0037"
down_revision = "0036"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString


def _record() -> list[sa.Column]:
    return [
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
    ]


def _notices() -> None:
    op.create_table(
        "notice",
        *_record(),
        sa.Column("seq", sa.BigInteger(), nullable=True),
        sa.Column("principal", _TEXT(), nullable=False),
        sa.Column("kind", _TEXT(), nullable=False),
        sa.Column("subject_kind", _TEXT(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("facts", postgresql.JSONB(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("seq", name="uq_notice_seq"),
    )
    op.create_index("ix_notice_principal", "notice", ["principal", "seq"])
    op.create_index(
        "ix_notice_unpublished", "notice", ["id"], postgresql_where=sa.text("seq IS NULL")
    )
    op.create_table(
        "notice_cursor",
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("block_number", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("chain_id"),
    )


def _webhooks() -> None:
    op.create_table(
        "webhook_endpoint",
        *_record(),
        sa.Column("owner", _TEXT(), nullable=False),
        sa.Column("url", _TEXT(), nullable=False),
        sa.Column("description", _TEXT(), nullable=True),
        sa.Column("kinds", postgresql.JSONB(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_with", sa.LargeBinary(), nullable=False),
        sa.Column("old_secret_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("disabled_because", _TEXT(), nullable=True),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(disabled_at IS NULL) = (disabled_because IS NULL)",
            name="ck_webhook_endpoint_disabled",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_webhook_endpoint_owner", "webhook_endpoint", ["owner"])
    op.create_table(
        "webhook_delivery",
        *_record(),
        sa.Column("endpoint_id", sa.Uuid(), nullable=False),
        sa.Column("message_id", sa.Uuid(), nullable=False),
        sa.Column("kind", _TEXT(), nullable=False),
        sa.Column("payload", postgresql.JSONB(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("answer_status", sa.Integer(), nullable=True),
        sa.Column("fault", _TEXT(), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'PENDING') = (next_at IS NOT NULL)", name="ck_webhook_delivery_next"
        ),
        sa.ForeignKeyConstraint(["endpoint_id"], ["webhook_endpoint.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("endpoint_id", "message_id", name="uq_webhook_delivery_message"),
    )
    op.create_index(
        "ix_webhook_delivery_due",
        "webhook_delivery",
        ["endpoint_id", "next_at"],
        postgresql_where=sa.text("state = 'PENDING'"),
    )


# What a row is told as: kind, subject and facts, to whom. Facts are strings where they may pass
# 2^53, as everywhere over HTTP.
_TELL = """
INSERT INTO notice (id, recorded_at, principal, kind, subject_kind, subject_id, facts)
"""
_ORDER = (
    _TELL
    + """
SELECT uuidv7(), now(), i.subject, 'order.' || lower(n.state), 'order', n.id,
  jsonb_build_object('offering_id', n.offering_id, 'units', n.units::text,
    'amount_paisa', n.amount_paisa::text, 'state', n.state)
FROM new_rows n JOIN investor i ON i.id = n.investor_id {changed}
UNION ALL
SELECT uuidv7(), now(), t.structured_by, 'offering.order_' || lower(n.state), 'offering', n.offering_id,
  jsonb_build_object('order_id', n.id, 'units', n.units::text,
    'amount_paisa', n.amount_paisa::text, 'state', n.state)
FROM new_rows n JOIN offering f ON f.id = n.offering_id
JOIN tokenization t ON t.id = f.tokenization_id {changed}
WHERE n.state IN ('PAID', 'SETTLED', 'REFUND_DUE');
"""
)
_OFFERING = (
    _TELL
    + """
SELECT uuidv7(), now(), t.structured_by, 'offering.' || lower(n.state), 'offering', n.id,
  jsonb_build_object('tokenization_id', n.tokenization_id, 'state', n.state)
FROM new_rows n JOIN tokenization t ON t.id = n.tokenization_id {changed};
"""
)
_INVESTOR = (
    _TELL
    + """
SELECT uuidv7(), now(), n.subject, 'kyc.' || lower(n.kyc_state), 'investor', n.id,
  jsonb_build_object('state', n.kyc_state)
FROM new_rows n JOIN old_rows o USING (id) WHERE n.kyc_state IS DISTINCT FROM o.kyc_state;
"""
)
_WALLET = (
    _TELL
    + """
SELECT uuidv7(), now(), i.subject,
  CASE WHEN n.state IS DISTINCT FROM o.state THEN 'wallet.' || lower(n.state)
    ELSE 'wallet.identified' END,
  'wallet', n.id, jsonb_build_object('address', '0x' || encode(n.address, 'hex'), 'state', n.state)
FROM new_rows n JOIN old_rows o USING (id) JOIN investor i ON i.id = n.investor_id
WHERE n.state IS DISTINCT FROM o.state OR (n.identity IS NOT NULL AND o.identity IS NULL);
"""
)
_PAYOUT = (
    _TELL
    + """
SELECT uuidv7(), now(), i.subject, 'payout.' || lower(n.state), 'redemption', n.redemption_id,
  jsonb_build_object('payout_id', n.id, 'units', n.units::text,
    'amount_paisa', n.amount_paisa::text, 'state', n.state)
FROM new_rows n JOIN investor i ON i.party_id = n.party_id {changed};
"""
)
_PROCEEDS = (
    _TELL
    + """
SELECT uuidv7(), now(), t.structured_by, 'proceeds.paid', 'offering', n.offering_id,
  jsonb_build_object('payout_id', n.id, 'amount_paisa', n.amount_paisa::text, 'state', n.state)
FROM new_rows n JOIN old_rows o USING (id) JOIN offering f ON f.id = n.offering_id
JOIN tokenization t ON t.id = f.tokenization_id
WHERE n.state = 'PAID' AND o.state <> 'PAID';
"""
)
# All postings of an entry come in one statement (ADR 0045), so what came is summed here.
_MONEY = (
    _TELL
    + """
SELECT uuidv7(), now(), i.subject, 'payment.' || lower(m.kind), 'order', p.id,
  jsonb_build_object('offering_id', p.offering_id, 'amount_paisa', m.paisa::text)
FROM (
  SELECT e.subject_id, CASE e.kind WHEN 'ALLOCATION' THEN 'RECEIVED' WHEN 'RECEIPT' THEN 'RECEIVED'
      WHEN 'REVERSAL' THEN 'REVERSED' ELSE 'REFUNDED' END AS kind,
    abs(sum(n.amount_paisa)) AS paisa
  FROM new_rows n JOIN ledger_entry e ON e.id = n.entry_id
  WHERE n.account IN ('BANK', 'RUPEE_ON_CHAIN', 'UNALLOCATED') AND e.subject_kind = 'order'
    AND e.kind IN ('RECEIPT', 'ALLOCATION', 'REVERSAL', 'REFUND')
  GROUP BY e.id, e.subject_id, e.kind) m
JOIN purchase_order p ON p.id = m.subject_id JOIN investor i ON i.id = p.investor_id;
"""
)
_CHANGED = "JOIN old_rows o ON o.id = n.id AND n.state IS DISTINCT FROM o.state"

_TOLD = (
    # table, on, what is told
    ("purchase_order", "insert", _ORDER),
    ("purchase_order", "update", _ORDER),
    ("offering", "insert", _OFFERING),
    ("offering", "update", _OFFERING),
    ("investor", "update", _INVESTOR),
    ("wallet", "update", _WALLET),
    ("redemption_payout", "insert", _PAYOUT),
    ("redemption_payout", "update", _PAYOUT),
    ("proceeds_payout", "update", _PROCEEDS),
    ("ledger_posting", "insert", _MONEY),
)


def _triggers() -> None:
    for table, event, told in _TOLD:
        name = f"tell_{table}_{event}"
        changed = _CHANGED if event == "update" else ""
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" {told.replace('{changed}', changed)} RETURN NULL; END $$"
        )
        rows = "NEW TABLE AS new_rows" + (" OLD TABLE AS old_rows" if event == "update" else "")
        op.execute(
            f"CREATE TRIGGER {name} AFTER {event.upper()} ON {table} REFERENCING {rows}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )


def upgrade() -> None:
    _notices()
    _webhooks()
    _triggers()


def downgrade() -> None:
    for table, event, _ in _TOLD:
        op.execute(f"DROP TRIGGER tell_{table}_{event} ON {table}")
        op.execute(f"DROP FUNCTION tell_{table}_{event}()")
    for table in ("webhook_delivery", "webhook_endpoint", "notice_cursor", "notice"):
        op.drop_table(table)

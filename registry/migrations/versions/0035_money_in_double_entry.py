"""Money in double entry: the ledger, payments of any amount, their reversals, refunds in parts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None

# LED-01: all postings of an entry come in one statement and sum to nothing, and none ever changes;
# so every entry sums to nothing at every moment, for one look at each statement.
_BALANCED = """
CREATE FUNCTION check_postings() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM posted GROUP BY entry_id HAVING sum(amount_paisa) <> 0) THEN
        RAISE EXCEPTION 'LED-01: the postings of an entry do not sum to 0'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'led_01';
    END IF;
    RETURN NULL;
END $$
"""
_ON_POSTING = """
CREATE TRIGGER ledger_posting_balanced AFTER INSERT ON ledger_posting
REFERENCING NEW TABLE AS posted FOR EACH STATEMENT EXECUTE FUNCTION check_postings()
"""
_APPEND_ONLY = """
CREATE TRIGGER {0}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
ON {0} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
"""

# Until now each payment was the whole price of its order, and went back whole.
_CARRIED_OVER = (
    (
        "SELECT 'RECEIPT' AS kind, 'receipt:' || p.id AS key, 'order' AS about, p.order_id AS of,"
        " p.recorded_at AS at, {place} AS debit, NULL::uuid AS debit_of, 'ORDER' AS credit,"
        " p.order_id AS credit_of, p.amount_paisa AS paisa FROM payment p"
    ),
    (
        "SELECT 'SETTLEMENT', 'settlement:' || o.id, 'order', o.id, now(), 'ORDER', o.id,"
        " 'SALE_PROCEEDS', o.offering_id, p.amount_paisa"
        " FROM payment p JOIN purchase_order o ON o.id = p.order_id WHERE o.state = 'SETTLED'"
    ),
    (
        "SELECT 'PAYOUT', 'payout:' || p.rail_reference, 'offering', o.offering_id, now(),"
        " 'SALE_PROCEEDS', o.offering_id, 'RUPEE_ON_CHAIN', NULL::uuid, p.amount_paisa"
        " FROM payment p JOIN purchase_order o ON o.id = p.order_id"
        " WHERE o.state = 'SETTLED' AND p.rail = 'onchain_rupee'"
    ),
    (
        "SELECT 'RELEASE', 'release:' || o.id, 'order', o.id, now(), 'ORDER', o.id,"
        " 'REFUND_DUE', o.id, p.amount_paisa FROM payment p JOIN purchase_order o"
        " ON o.id = p.order_id WHERE o.state IN ('REFUND_DUE', 'REFUNDED')"
    ),
    (
        "SELECT 'REFUND', 'refund:' || r.id, 'order', r.order_id, r.recorded_at, 'REFUND_DUE',"
        " r.order_id, 'BANK', NULL::uuid, r.amount_paisa FROM refund r"
    ),
)
_CARRY = """
CREATE TEMPORARY TABLE carried ON COMMIT DROP AS
SELECT gen_random_uuid() AS id, moved.* FROM ({}) moved
"""
_HEADS = """
INSERT INTO ledger_entry (id, recorded_at, kind, key, subject_kind, subject_id)
SELECT id, at, kind, key, about, of FROM carried
"""
_SIDES = """
INSERT INTO ledger_posting (id, recorded_at, entry_id, account, subject_id, amount_paisa)
SELECT gen_random_uuid(), at, carried.id, side.account, side.subject_id, side.paisa
FROM carried CROSS JOIN LATERAL
  (VALUES (debit, debit_of, paisa), (credit, credit_of, -paisa)) side (account, subject_id, paisa)
"""
_PLACE = "CASE p.rail WHEN 'onchain_rupee' THEN 'RUPEE_ON_CHAIN' ELSE 'BANK' END"

# Rather no way back than money that an older version cannot see.
_REFUSE_TO_FORGET = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM payment p LEFT JOIN purchase_order o ON o.id = p.order_id
               WHERE p.state <> 'ALLOCATED' OR p.amount_paisa <> o.amount_paisa)
       OR EXISTS (SELECT FROM proceeds_payout WHERE state = 'PAID')
       OR EXISTS (SELECT FROM payment GROUP BY order_id HAVING count(*) > 1)
       OR EXISTS (SELECT FROM refund r JOIN purchase_order o ON o.id = r.order_id
                  WHERE r.amount_paisa <> o.amount_paisa) THEN
        RAISE EXCEPTION 'there are payments that an older version cannot show';
    END IF;
END $$
"""


def _ledger() -> None:
    op.create_table(
        "ledger_entry",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False, unique=True),
        sa.Column("subject_kind", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
    )
    op.create_index("ix_ledger_entry_subject", "ledger_entry", ["subject_id"])
    op.create_table(
        "ledger_posting",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("entry_id", sa.Uuid(), sa.ForeignKey("ledger_entry.id"), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=True),
        sa.Column("amount_paisa", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount_paisa <> 0", name="ck_ledger_posting_amount"),
        sa.CheckConstraint(
            "(account IN ('BANK', 'RUPEE_ON_CHAIN')) = (subject_id IS NULL)",
            name="ck_ledger_posting_subject",
        ),
    )
    op.create_index("ix_ledger_posting_entry_id", "ledger_posting", ["entry_id"])
    op.create_index("ix_ledger_posting_account", "ledger_posting", ["account", "subject_id"])
    for statement in (
        _BALANCED,
        _ON_POSTING,
        _APPEND_ONLY.format("ledger_entry"),
        _APPEND_ONLY.format("ledger_posting"),
    ):
        op.execute(statement)


def _payments() -> None:
    op.drop_constraint("payment_order_id_key", "payment")
    op.alter_column("payment", "order_id", nullable=True)
    op.create_index("ix_payment_order_id", "payment", ["order_id"])
    op.add_column("payment", sa.Column("order_reference", sa.String(), nullable=True))
    op.add_column("payment", sa.Column("payer_hint", sa.String(), nullable=True))
    op.add_column(
        "payment", sa.Column("state", sa.String(), nullable=False, server_default="ALLOCATED")
    )
    op.alter_column("payment", "state", server_default=None)
    op.create_check_constraint("ck_payment_amount", "payment", "amount_paisa > 0")
    op.create_check_constraint(
        "ck_payment_order",
        "payment",
        "state = 'REVERSED' OR (state = 'ALLOCATED') = (order_id IS NOT NULL)",
    )
    op.execute(
        "UPDATE payment p SET order_reference = o.reference"
        " FROM purchase_order o WHERE o.id = p.order_id"
    )
    op.create_table(
        "payment_reversal",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "payment_id", sa.Uuid(), sa.ForeignKey("payment.id"), nullable=False, unique=True
        ),
        sa.Column("rail_reference", sa.String(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
    )


def _refunds() -> None:
    op.add_column("refund", sa.Column("order_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        "refund_order_id_fkey", "refund", "purchase_order", ["order_id"], ["id"]
    )
    op.create_index("ix_refund_order_id", "refund", ["order_id"])
    op.alter_column("refund", "payment_id", nullable=True)
    op.execute(
        "UPDATE refund r SET order_id = p.order_id, payment_id = NULL"
        " FROM payment p WHERE p.id = r.payment_id"
    )
    op.create_check_constraint(
        "ck_refund_subject", "refund", "num_nonnulls(order_id, payment_id) = 1"
    )


def _statements() -> None:
    op.create_table(
        "bank_statement",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("file_format", sa.String(), nullable=False),
        sa.Column("account_hint", sa.String(), nullable=True),
        sa.Column("closed_on", sa.Date(), nullable=False),
        sa.Column("opening_paisa", sa.BigInteger(), nullable=False),
        sa.Column("closing_paisa", sa.BigInteger(), nullable=False),
        sa.Column("ledger_paisa", sa.BigInteger(), nullable=False),
        sa.Column("gap_paisa", sa.BigInteger(), nullable=True),
        sa.Column("uploaded_by", sa.String(), nullable=False),
    )
    op.create_table(
        "bank_statement_line",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "statement_id", sa.Uuid(), sa.ForeignKey("bank_statement.id"), nullable=False
        ),
        sa.Column("line_no", sa.Integer(), nullable=False),
        sa.Column("bank_reference", sa.String(), nullable=False),
        sa.Column("booked_on", sa.Date(), nullable=False),
        sa.Column("amount_paisa", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), sa.ForeignKey("payment.id"), nullable=True),
        sa.UniqueConstraint("statement_id", "line_no", name="uq_bank_statement_line"),
    )


def _payouts() -> None:
    op.create_table(
        "proceeds_payout",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("offering_id", sa.Uuid(), sa.ForeignKey("offering.id"), nullable=False),
        sa.Column("amount_paisa", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("decided_by", sa.String(), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rail_reference", sa.String(), nullable=True, unique=True),
        sa.CheckConstraint("amount_paisa > 0", name="ck_proceeds_payout_amount"),
        sa.CheckConstraint(
            "state <> 'PAID' OR acting_person(decided_by) <> acting_person(proposed_by)",
            name="ck_proceeds_payout_four_eyes",
        ),
        sa.CheckConstraint(
            "(state = 'PAID') = (rail_reference IS NOT NULL)", name="ck_proceeds_payout_reference"
        ),
    )
    op.create_index("ix_proceeds_payout_offering_id", "proceeds_payout", ["offering_id"])


def upgrade() -> None:
    _ledger()
    _payments()
    _refunds()
    _statements()
    _payouts()
    op.execute(_CARRY.format(" UNION ALL ".join(_CARRIED_OVER).format(place=_PLACE)))
    op.execute(_HEADS)
    op.execute(_SIDES)


def downgrade() -> None:
    op.execute(_REFUSE_TO_FORGET)
    for table in ("proceeds_payout", "bank_statement_line", "bank_statement"):
        op.drop_table(table)
    op.drop_constraint("ck_refund_subject", "refund")
    op.execute(
        "UPDATE refund r SET payment_id = p.id FROM payment p WHERE p.order_id = r.order_id"
    )
    op.alter_column("refund", "payment_id", nullable=False)
    op.drop_index("ix_refund_order_id", table_name="refund")
    op.drop_constraint("refund_order_id_fkey", "refund")
    op.drop_column("refund", "order_id")
    op.drop_table("payment_reversal")
    op.drop_constraint("ck_payment_order", "payment")
    op.drop_constraint("ck_payment_amount", "payment")
    for column in ("state", "payer_hint", "order_reference"):
        op.drop_column("payment", column)
    op.drop_index("ix_payment_order_id", table_name="payment")
    op.alter_column("payment", "order_id", nullable=False)
    op.create_unique_constraint("payment_order_id_key", "payment", ["order_id"])
    op.drop_table("ledger_posting")
    op.drop_table("ledger_entry")
    op.execute("DROP FUNCTION check_postings")

"""Terms of an offering: tickets, dates, countries, allotment, waiting list, papers to accept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None

_APPEND_ONLY = """
CREATE TRIGGER {0}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
ON {0} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
"""
_NOT_OVERSOLD = "reserved_units >= 0 AND reserved_units <= offered_units"
_NOT_OVERSOLD_ONCE_ALLOTTED = (
    "reserved_units >= 0 AND (reserved_units <= offered_units"
    " OR (allotment = 'PRO_RATA' AND allotted_at IS NULL))"
)
# Rather no way back than subscriptions that an older version takes for sold.
_REFUSE_TO_FORGET = """
DO $$ BEGIN
    IF EXISTS (SELECT FROM offering WHERE reserved_units > offered_units)
       OR EXISTS (SELECT FROM document_acceptance) THEN
        RAISE EXCEPTION 'there are sales that an older version cannot show';
    END IF;
END $$
"""


def _record() -> list[sa.Column[object]]:
    return [
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
    ]


def _refers(name: str, table: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.Uuid(), sa.ForeignKey(f"{table}.id"), nullable=nullable)


def _offerings() -> None:
    when = sa.DateTime(timezone=True)
    for column in (
        sa.Column("max_ticket_units", sa.BigInteger(), nullable=True),
        sa.Column("opens_at", when, nullable=True),
        sa.Column("closes_at", when, nullable=True),
        sa.Column("eligible_countries", sa.ARRAY(sa.String()), nullable=True),
        sa.Column("allotment", sa.String(), nullable=False, server_default="FIRST_COME"),
        sa.Column("cooling_off_hours", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("payment_hours", sa.Integer(), nullable=True),
        sa.Column("waiting_list_hours", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("allotted_at", when, nullable=True),
    ):
        op.add_column("offering", column)
    op.drop_constraint("ck_offering_not_oversold", "offering")
    op.create_check_constraint(
        "ck_offering_not_oversold", "offering", _NOT_OVERSOLD_ONCE_ALLOTTED
    )
    op.create_check_constraint(
        "ck_offering_max_ticket", "offering", "max_ticket_units >= min_ticket_units"
    )
    op.create_check_constraint("ck_offering_time", "offering", "closes_at > opens_at")
    op.create_check_constraint(
        "ck_offering_hours",
        "offering",
        "cooling_off_hours >= 0 AND payment_hours > 0 AND waiting_list_hours >= 0",
    )
    op.create_table(
        "offering_document",
        *_record(),
        _refers("offering_id", "offering"),
        _refers("document_id", "document"),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.UniqueConstraint("offering_id", "document_id", name="uq_offering_document"),
    )


def _waiting_list() -> None:
    op.create_table(
        "waiting_entry",
        *_record(),
        _refers("offering_id", "offering"),
        _refers("investor_id", "investor"),
        _refers("wallet_id", "wallet"),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.CheckConstraint("units > 0", name="ck_waiting_entry_units"),
    )
    for column in ("offering_id", "investor_id"):
        op.create_index(f"ix_waiting_entry_{column}", "waiting_entry", [column])
    op.create_index(
        "uq_waiting_entry_investor",
        "waiting_entry",
        ["offering_id", "investor_id"],
        unique=True,
        postgresql_where=sa.text("state = 'WAITING'"),
    )


def _orders() -> None:
    when = sa.DateTime(timezone=True)
    for column in (
        sa.Column("subscribed_units", sa.BigInteger(), nullable=True),
        sa.Column("allotted_units", sa.BigInteger(), nullable=True),
        sa.Column("pay_until", when, nullable=True),
        sa.Column("withdrawable_until", when, nullable=True),
        sa.Column("waiting_entry_id", sa.Uuid(), nullable=True),
    ):
        op.add_column("purchase_order", column)
    op.execute("UPDATE purchase_order SET subscribed_units = units")
    op.alter_column("purchase_order", "subscribed_units", nullable=False)
    op.create_foreign_key(
        "purchase_order_waiting_entry_id_fkey",
        "purchase_order",
        "waiting_entry",
        ["waiting_entry_id"],
        ["id"],
    )
    op.create_unique_constraint(
        "purchase_order_waiting_entry_id_key", "purchase_order", ["waiting_entry_id"]
    )
    op.create_check_constraint(
        "ck_order_subscribed", "purchase_order", "units <= subscribed_units"
    )
    op.create_check_constraint(
        "ck_order_allotted",
        "purchase_order",
        "allotted_units >= 0 AND (allotted_units = units OR allotted_units = 0)",
    )
    op.create_index(
        "ix_purchase_order_pay_until",
        "purchase_order",
        ["pay_until"],
        postgresql_where=sa.text("state = 'AWAITING_PAYMENT'"),
    )


def _acceptances() -> None:
    op.create_table(
        "document_acceptance",
        *_record(),
        _refers("offering_id", "offering"),
        _refers("document_id", "document"),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        _refers("investor_id", "investor"),
        sa.Column("accepted_by", sa.String(), nullable=False),
        _refers("order_id", "purchase_order", nullable=True),
        _refers("waiting_entry_id", "waiting_entry", nullable=True),
        sa.CheckConstraint(
            "num_nonnulls(order_id, waiting_entry_id) = 1", name="ck_document_acceptance_subject"
        ),
    )
    for column in ("investor_id", "order_id", "waiting_entry_id"):
        op.create_index(f"ix_document_acceptance_{column}", "document_acceptance", [column])
    for table in ("offering_document", "document_acceptance"):
        op.execute(_APPEND_ONLY.format(table))


def upgrade() -> None:
    _offerings()
    _waiting_list()
    _orders()
    _acceptances()


def downgrade() -> None:
    op.execute(_REFUSE_TO_FORGET)
    op.drop_table("document_acceptance")
    op.drop_index("ix_purchase_order_pay_until", table_name="purchase_order")
    for name in ("ck_order_allotted", "ck_order_subscribed"):
        op.drop_constraint(name, "purchase_order")
    for column in (
        "waiting_entry_id",
        "withdrawable_until",
        "pay_until",
        "allotted_units",
        "subscribed_units",
    ):
        op.drop_column("purchase_order", column)
    op.drop_table("waiting_entry")
    op.drop_table("offering_document")
    for name in ("hours", "time", "max_ticket", "not_oversold"):
        op.drop_constraint(f"ck_offering_{name}", "offering")
    for column in (
        "allotted_at",
        "waiting_list_hours",
        "payment_hours",
        "cooling_off_hours",
        "allotment",
        "eligible_countries",
        "closes_at",
        "opens_at",
        "max_ticket_units",
    ):
        op.drop_column("offering", column)
    op.create_check_constraint("ck_offering_not_oversold", "offering", _NOT_OVERSOLD)

"""Sales of what the wrapper kept, each order against rupees on chain."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0059"
down_revision = "0058"
branch_labels = None
depends_on = None

_KIND = """
(kind = 'SECONDARY') = (seller_wallet_id IS NOT NULL) AND (kind = 'PRIMARY' OR
 (minimum_units = 0 AND allotment = 'FIRST_COME' AND cooling_off_hours = 0
 AND payment_hours IS NOT NULL))
"""
_TRADE = """
(trade_digest IS NULL) = (seller_signature IS NULL) AND (trade_digest IS NULL OR
 (rail = 'onchain_rupee' AND pay_until IS NOT NULL))
"""


def upgrade() -> None:
    op.add_column("offering", sa.Column("kind", sa.String(), server_default=sa.text("'PRIMARY'"), nullable=False))
    op.add_column("offering", sa.Column("seller_wallet_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(None, "offering", "wallet", ["seller_wallet_id"], ["id"])
    op.create_check_constraint("ck_offering_kind", "offering", _KIND)
    op.drop_constraint("offering_tokenization_id_key", "offering")
    op.create_index("ix_offering_tokenization_id", "offering", ["tokenization_id"])
    for name, of in (
        ("uq_offering_primary", "kind = 'PRIMARY'"),
        ("uq_offering_secondary_open", "kind = 'SECONDARY' AND state = 'OPEN'"),
    ):
        op.create_index(
            name, "offering", ["tokenization_id"], unique=True, postgresql_where=sa.text(of)
        )
    op.add_column(
        "purchase_order",
        sa.Column("rail", sa.String(), server_default=sa.text("'bank_transfer'"), nullable=False),
    )
    op.add_column("purchase_order", sa.Column("trade_digest", sa.LargeBinary(), nullable=True))
    op.add_column("purchase_order", sa.Column("seller_signature", sa.LargeBinary(), nullable=True))
    op.create_unique_constraint(None, "purchase_order", ["trade_digest"])
    op.create_check_constraint("ck_order_trade", "purchase_order", _TRADE)
    # By its digest a trade is found again, whoever sent it.
    op.create_index(
        "ix_contract_event_settled",
        "contract_event",
        [sa.text("(said ->> 'digest')")],
        postgresql_where=sa.text("event = 'Settled'"),
    )


def downgrade() -> None:
    """Go back; refused while there is a secondary sale, which the older version cannot hold."""
    op.drop_index("ix_contract_event_settled", "contract_event")
    op.drop_constraint("ck_order_trade", "purchase_order")
    for column in ("seller_signature", "trade_digest", "rail"):
        op.drop_column("purchase_order", column)
    for index in ("uq_offering_secondary_open", "uq_offering_primary", "ix_offering_tokenization_id"):
        op.drop_index(index, "offering")
    op.create_unique_constraint("offering_tokenization_id_key", "offering", ["tokenization_id"])
    op.drop_constraint("ck_offering_kind", "offering")
    for column in ("seller_wallet_id", "kind"):
        op.drop_column("offering", column)

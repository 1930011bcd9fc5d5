"""Wallets in our custody, each with the name of its key."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0039"
down_revision = "0037"
branch_labels = None
depends_on = None

_TEXT = sqlmodel.sql.sqltypes.AutoString
_PROOF = (
    "CASE WHEN is_custodial THEN state <> 'CHALLENGED' AND challenge IS NULL"
    " ELSE challenge IS NOT NULL AND challenge_expires_at IS NOT NULL END"
)
_MADE = (
    "(wallet_id IS NULL) = (key_uri IS NULL) AND (wallet_id IS NULL) = (made_at IS NULL)"
    " AND (ended_at IS NULL OR wallet_id IS NOT NULL)"
)


def upgrade() -> None:
    op.add_column(
        "wallet",
        sa.Column("is_custodial", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.alter_column("wallet", "is_custodial", server_default=None)
    for column in ("challenge", "challenge_expires_at"):
        op.alter_column("wallet", column, nullable=True)
    op.create_check_constraint("ck_wallet_proof", "wallet", _PROOF)
    op.create_table(
        "custodial_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("investor_id", sa.Uuid(), nullable=False),
        sa.Column("chain_id", sa.BigInteger(), nullable=False),
        sa.Column("wallet_id", sa.Uuid(), nullable=True),
        sa.Column("key_uri", _TEXT(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(_MADE, name="ck_custodial_key_made"),
        sa.ForeignKeyConstraint(["investor_id"], ["investor.id"]),
        sa.ForeignKeyConstraint(["wallet_id"], ["wallet.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key_uri"),
        sa.UniqueConstraint("wallet_id"),
    )
    op.create_index(
        "uq_custodial_key_of_investor",
        "custodial_key",
        ["investor_id", "chain_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "ix_custodial_key_unmade",
        "custodial_key",
        ["id"],
        postgresql_where=sa.text("key_uri IS NULL"),
    )


def downgrade() -> None:
    # Whoever goes back with custodial wallets would lose the names of their keys.
    op.drop_table("custodial_key")
    op.drop_constraint("ck_wallet_proof", "wallet")
    for column in ("challenge", "challenge_expires_at"):
        op.alter_column("wallet", column, nullable=False)
    op.drop_column("wallet", "is_custodial")

"""What an address is asked to sign, in a table of its own: until it has, it is nobody's wallet."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0057"
down_revision = "0055"
branch_labels = None
depends_on = None

_BEFORE = (
    "CASE WHEN is_custodial THEN state <> 'CHALLENGED' AND challenge IS NULL"
    " ELSE challenge IS NOT NULL AND challenge_expires_at IS NOT NULL END"
)
# A wallet is there once it is proven, so its being there is what its owner is told.
_TELL = """
CREATE FUNCTION tell_wallet_insert() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
INSERT INTO notice (id, recorded_at, principal, kind, subject_kind, subject_id, facts)
SELECT uuidv7(), now(), i.subject, 'wallet.' || lower(n.state), 'wallet', n.id,
  jsonb_build_object('address', '0x' || encode(n.address, 'hex'), 'state', n.state)
FROM new_rows n JOIN investor i ON i.id = n.investor_id WHERE NOT n.is_custodial;
RETURN NULL; END $$;
CREATE TRIGGER tell_wallet_insert AFTER INSERT ON wallet REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION tell_wallet_insert()
"""


def upgrade() -> None:
    op.create_table(
        "wallet_challenge",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("investor_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("message", sqlmodel.sql.sqltypes.AutoString(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["investor_id"], ["investor.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("investor_id", "address"),
    )
    op.execute(
        "INSERT INTO wallet_challenge"
        " SELECT id, recorded_at, investor_id, address, challenge, challenge_expires_at"
        " FROM wallet WHERE state = 'CHALLENGED'"
    )
    op.execute("DELETE FROM wallet WHERE state = 'CHALLENGED'")
    op.drop_constraint("ck_wallet_proof", "wallet")
    op.drop_column("wallet", "challenge_expires_at")
    op.create_check_constraint("ck_wallet_proof", "wallet", "is_custodial = (challenge IS NULL)")
    op.alter_column("wallet", "proven_at", nullable=False)
    op.execute(_TELL)


def downgrade() -> None:
    op.execute("DROP TRIGGER tell_wallet_insert ON wallet")
    op.execute("DROP FUNCTION tell_wallet_insert()")
    # Who was asked for a signature is asked again.
    op.drop_table("wallet_challenge")
    op.alter_column("wallet", "proven_at", nullable=True)
    op.drop_constraint("ck_wallet_proof", "wallet")
    op.add_column(
        "wallet", sa.Column("challenge_expires_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.execute("UPDATE wallet SET challenge_expires_at = proven_at WHERE NOT is_custodial")
    op.create_check_constraint("ck_wallet_proof", "wallet", _BEFORE)

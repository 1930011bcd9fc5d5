"""What a token told before it was adopted or read again is gone: when that was is kept.

Proofs stay when a token is read again, and say since when they are void. Of what was adopted before,
the journal tells when; from then on it is told as it always was. What is being read now began by now;
what was said of it is gone only where it was refused, or its chain called in doubt, since that is when
somebody repairs.
Adopted tokens have the storage that tells of their wallets; of what was adopted before, the
registry tells.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0081"
down_revision = "0080"
branch_labels = None
depends_on = None

_ADOPTED = """
INSERT INTO token_reading (token_no, number, kind, after_block, begun_at, joined_at)
SELECT t.token_no, 1, 'ADOPTED', t.block_number - 1, j.recorded_at,
  CASE WHEN t.caught_up_to IS NULL THEN j.recorded_at END
FROM token t CROSS JOIN LATERAL (
  SELECT max(recorded_at) AS recorded_at FROM journal_entry
  WHERE act = 'token_adopted' AND subject_kind = 'token'
    AND subject_id = '0x' || encode(t.address, 'hex')
    AND facts ->> 'chain_id' = t.chain_id::text) j
WHERE j.recorded_at IS NOT NULL
"""
_BEING_READ = """
INSERT INTO token_reading (token_no, number, kind, after_block)
SELECT token_no, 2,
  CASE WHEN is_doubted THEN 'READ_AGAIN' ELSE 'SET_APART' END,
  -- From where it was repaired nobody has noted.
  CASE WHEN is_doubted THEN block_number - 1 ELSE caught_up_to END
FROM token t CROSS JOIN LATERAL (
  SELECT EXISTS (
    SELECT FROM journal_entry
    WHERE (act IN ('token_refused', 'adopted_token_differs') AND subject_kind = 'token'
        AND subject_id = '0x' || encode(t.address, 'hex'))
      OR (act = 'cap_table_degraded' AND subject_id = t.chain_id::text)) AS is_doubted) j
WHERE caught_up_to IS NOT NULL
"""


def upgrade() -> None:
    op.create_table(
        "token_reading",
        sa.Column("token_no", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("after_block", sa.BigInteger(), nullable=False),
        sa.Column(
            "begun_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("token_no", "number"),
    )
    op.add_column("token", sa.Column("identity_storage", sa.LargeBinary(), nullable=True))
    op.add_column(
        "reconciliation", sa.Column("void_since", sa.DateTime(timezone=True), nullable=True)
    )
    op.execute(_ADOPTED)
    op.execute(_BEING_READ)


def downgrade() -> None:
    op.execute("DELETE FROM reconciliation WHERE void_since IS NOT NULL")
    op.drop_column("reconciliation", "void_since")
    op.drop_column("token", "identity_storage")
    op.drop_table("token_reading")

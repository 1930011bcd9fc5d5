"""Investors are told of a review that was given back, and of how a renewal ends.

The notice of 0037 was one of the KYC's state alone: a review that needs a better paper, and a
renewal whichever way it went, changed nothing of that, and were not told. When a KYC can be renewed
the clock tells (`registry.kyc.renewal`), once for each review: the index says so.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0078"
down_revision = "0077"
branch_labels = None
depends_on = None

_TELL = """
INSERT INTO notice (id, recorded_at, principal, kind, subject_kind, subject_id, facts)
"""
_STATE = """
SELECT uuidv7(), now(), n.subject, 'kyc.' || lower(n.kyc_state), 'investor', n.id,
  jsonb_build_object('state', n.kyc_state)
FROM new_rows n JOIN old_rows o USING (id) WHERE n.kyc_state IS DISTINCT FROM o.kyc_state
"""
# On what it rests is the hash of the review, which names it: no two are the same.
_RENEWED = """
UNION ALL
SELECT uuidv7(), now(), n.subject, 'kyc.renewed', 'investor', n.id,
  jsonb_build_object('state', n.kyc_state, 'valid_until', n.kyc_valid_until)
FROM new_rows n JOIN old_rows o USING (id) WHERE n.kyc_state = 'APPROVED'
  AND o.kyc_state = 'APPROVED' AND n.kyc_evidence_sha256 IS DISTINCT FROM o.kyc_evidence_sha256
"""
# Of who had no standing before, the rejection is told as the state of the KYC.
_REVIEW = """
SELECT uuidv7(), now(), i.subject,
  CASE n.state WHEN 'DRAFT' THEN 'kyc.returned' ELSE 'kyc.renewal_rejected' END,
  'kyc_review', n.id,
  jsonb_build_object('state', i.kyc_state, 'valid_until', i.kyc_valid_until)
FROM new_rows n JOIN old_rows o USING (id) JOIN investor i ON i.id = n.investor_id
WHERE n.state IS DISTINCT FROM o.state AND (n.state = 'DRAFT'
  OR n.state = 'REJECTED' AND i.kyc_state NOT IN ('PENDING', 'REJECTED'))
"""


def _function(name: str, told: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        f" {_TELL} {told}; RETURN NULL; END $$"
    )


def upgrade() -> None:
    op.execute(_function("tell_investor_update", _STATE + _RENEWED))
    op.execute(_function("tell_kyc_review_update", _REVIEW))
    op.execute(
        "CREATE TRIGGER tell_kyc_review_update AFTER UPDATE ON kyc_review"
        " REFERENCING NEW TABLE AS new_rows OLD TABLE AS old_rows"
        " FOR EACH STATEMENT EXECUTE FUNCTION tell_kyc_review_update()"
    )
    op.create_index(
        "uq_notice_kyc_renewal",
        "notice",
        ["subject_id"],
        unique=True,
        postgresql_where=sa.text("kind = 'kyc.renewal_due'"),
    )
    op.create_index(
        "ix_kyc_review_valid_until",
        "kyc_review",
        ["valid_until"],
        postgresql_where=sa.text("state = 'APPROVED'"),
    )


def downgrade() -> None:
    op.drop_index("ix_kyc_review_valid_until", "kyc_review")
    op.drop_index("uq_notice_kyc_renewal", "notice")
    op.execute("DROP TRIGGER tell_kyc_review_update ON kyc_review")
    op.execute("DROP FUNCTION tell_kyc_review_update()")
    op.execute(_function("tell_investor_update", _STATE))

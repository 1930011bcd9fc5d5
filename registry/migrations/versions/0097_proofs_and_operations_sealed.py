"""Proofs of the cap table, and operations, are sealed as they stand: nothing told of a change.

Proofs by the triggers that `registry.history.install` puts up after the last migration, which
takes rows as they stand with a migration alone (ADR 0071); operations by acts, as
`registry.operation.planned` writes them from now on.
"""

from __future__ import annotations

from alembic import op

revision = "0097"
down_revision = "0096"
branch_labels = None
depends_on = None

# Once: whoever lets this migration run again would have what they changed sealed.
_TELL = """
INSERT INTO journal_entry (id, recorded_at, actor, act, subject_kind, subject_id, facts)
SELECT uuidv7(), now(), 'system', 'operations_planned', 'operation', min(said.id::text),
  jsonb_build_object('operations', jsonb_object_agg(said.id, said.sha256))
FROM (
  SELECT o.id, (row_number() OVER (ORDER BY o.id) - 1) / 1000 AS part,
    encode(sha256(convert_to(jsonb_build_array(o.id, extract(epoch FROM o.recorded_at), o.kind,
      o.subject_kind, o.subject_id, o.requested_by, o.params)::text, 'UTF8')), 'hex') AS sha256
  FROM operation AS o) AS said
WHERE NOT EXISTS (SELECT FROM journal_entry WHERE act = 'operations_planned')
GROUP BY said.part
"""


def upgrade() -> None:
    op.execute(_TELL)


def downgrade() -> None:
    """Leave triggers and acts: what they seal verifies as it did, and is held to again one day."""

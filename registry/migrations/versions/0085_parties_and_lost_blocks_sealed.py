"""Parties, and blocks that reorgs took, are sealed as they stand: nothing told before of a change.

Parties by the triggers that `registry.history.install` puts up after the last migration, which
takes rows as they stand with a migration alone (ADR 0071); blocks by acts, as `captable.lost_seal`
writes them from now on.
"""

from __future__ import annotations

from alembic import op

revision = "0085"
down_revision = "0084"
branch_labels = None
depends_on = None

# Once: whoever lets this migration run again would have what they changed sealed.
_SEAL = """
INSERT INTO journal_entry (id, recorded_at, actor, act, subject_kind, subject_id, facts)
SELECT uuidv7(), now(), 'system', 'blocks_taken_back', 'chain', taken.chain_id::text,
  jsonb_build_object('orphaned_at', taken.orphaned_at, 'blocks', taken.blocks)
FROM (
  SELECT said.chain_id, said.orphaned_at,
    jsonb_object_agg(encode(said.hash, 'hex'), said.sha256) AS blocks
  FROM (
    SELECT o.chain_id, o.orphaned_at, o.hash, encode(sha256(int8send(o.chain_id) || o.hash
        || timestamptz_send(o.orphaned_at) || int8send(o.number) || timestamptz_send(o.mined_at)
        || timestamptz_send(o.recorded_at) || array_send(o.token_nos) || array_send(o.log_indexes)
        || array_send(o.kinds) || array_send(o.tx_hashes) || array_send(o.sources)
        || array_send(o.targets) || array_send(o.amounts) || array_send(o.extras)
        || jsonb_send(o.contract_events)), 'hex') AS sha256,
      (row_number() OVER (PARTITION BY o.chain_id, o.orphaned_at ORDER BY o.number) - 1) / 1000
        AS part
    FROM orphan_block o) AS said
  GROUP BY said.chain_id, said.orphaned_at, said.part) AS taken
WHERE NOT EXISTS (SELECT FROM journal_entry WHERE act = 'blocks_taken_back')
"""


def upgrade() -> None:
    op.execute(_SEAL)


def downgrade() -> None:
    """Leave triggers and acts: what they seal verifies as it did, and is held to again one day."""

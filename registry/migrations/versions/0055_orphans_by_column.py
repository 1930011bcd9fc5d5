"""What blocks said that a reorg took, by column instead of JSON."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0055"
down_revision = "0041"
branch_labels = None
depends_on = None

_COLUMNS: dict[str, sa.types.TypeEngine[Any]] = {
    "token_nos": sa.Integer(),
    "log_indexes": sa.Integer(),
    "kinds": sa.Integer(),
    "tx_hashes": sa.LargeBinary(),
    "sources": sa.Integer(),
    "targets": sa.Integer(),
    "amounts": sa.Numeric(78, 0),
    "extras": postgresql.JSONB(),
}
_BY_COLUMN = """
UPDATE orphan_block o SET
  token_nos = e.token_nos, log_indexes = e.log_indexes, kinds = e.kinds, tx_hashes = e.tx_hashes,
  sources = e.sources, targets = e.targets, amounts = e.amounts, extras = e.extras
FROM (
  SELECT b.chain_id, b.hash, b.orphaned_at, array_agg(s.token_no ORDER BY s.log_index) AS token_nos,
    array_agg(s.log_index ORDER BY s.log_index) AS log_indexes,
    array_agg(s.kind ORDER BY s.log_index) AS kinds,
    array_agg(decode(s.tx_hash, 'hex') ORDER BY s.log_index) AS tx_hashes,
    array_agg(s.source ORDER BY s.log_index) AS sources,
    array_agg(s.target ORDER BY s.log_index) AS targets,
    array_agg(s.units ORDER BY s.log_index) AS amounts,
    array_agg(s.extra ORDER BY s.log_index) AS extras
  FROM orphan_block b, json_to_recordset(b.events) AS s(
    token_no int4, log_index int4, kind int4, tx_hash text, source int4, target int4,
    units numeric, extra jsonb)
  GROUP BY b.chain_id, b.hash, b.orphaned_at) AS e
WHERE o.chain_id = e.chain_id AND o.hash = e.hash AND o.orphaned_at = e.orphaned_at
"""
_BY_EVENT = """
UPDATE orphan_block o SET events = e.events
FROM (
  SELECT b.chain_id, b.hash, b.orphaned_at, json_agg(json_build_object(
    'token_no', s.token_no, 'block_number', b.number, 'log_index', s.log_index, 'kind', s.kind,
    'tx_hash', encode(s.tx_hash, 'hex'), 'source', s.source, 'target', s.target,
    'units', s.units::text, 'extra', s.extra) ORDER BY s.log_index) AS events
  FROM orphan_block b, unnest(b.token_nos, b.log_indexes, b.kinds, b.tx_hashes, b.sources,
    b.targets, b.amounts, b.extras)
    AS s(token_no, log_index, kind, tx_hash, source, target, units, extra)
  GROUP BY b.chain_id, b.hash, b.orphaned_at) AS e
WHERE o.chain_id = e.chain_id AND o.hash = e.hash AND o.orphaned_at = e.orphaned_at
"""


def upgrade() -> None:
    for name, kind in _COLUMNS.items():
        column: sa.Column[Any] = sa.Column(
            name, postgresql.ARRAY(kind), nullable=False, server_default=sa.text("'{}'")
        )
        op.add_column("orphan_block", column)
        # Only ever read as a whole: neither half of a megabyte is compressed in a reorg.
        op.execute(f"ALTER TABLE orphan_block ALTER {name} SET STORAGE EXTERNAL")
    op.execute(_BY_COLUMN)
    op.drop_column("orphan_block", "events")


def downgrade() -> None:
    op.add_column(
        "orphan_block", sa.Column("events", sa.JSON(), nullable=False, server_default="[]")
    )
    op.execute("ALTER TABLE orphan_block ALTER events SET STORAGE EXTERNAL")
    op.execute(_BY_EVENT)
    op.alter_column("orphan_block", "events", server_default=None)
    for name in _COLUMNS:
        op.drop_column("orphan_block", name)

"""Private columns of legal rows are sealed by a salted hash, and every fact has its act."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0064"
down_revision = "0060"
branch_labels = None
depends_on = None

# As 0010 made it, with a salt beside private columns. Without one, whoever reads the sealed hash
# could try texts until one fits.
_KEEP_HISTORY = """
CREATE OR REPLACE FUNCTION keep_history() RETURNS trigger
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    keys text[] := string_to_array(TG_ARGV[0], ',');
    hidden text[] := string_to_array(TG_ARGV[2], ',');
    keeping text[] := string_to_array(coalesce(TG_ARGV[3], ''), ',');
BEGIN
    IF NOT EXISTS (SELECT FROM changed) THEN
        RETURN NULL;
    END IF;
    INSERT INTO legal_history
        (table_name, row_id, parent_id, op, recording_id, image, private, private_salt)
    SELECT
        TG_TABLE_NAME,
        legal_row_id(rows.body, keys),
        (rows.body ->> TG_ARGV[1])::uuid,
        TG_OP,
        moment.id,
        CASE WHEN TG_OP <> 'DELETE' THEN rows.body - hidden - keeping END,
        CASE WHEN TG_OP <> 'DELETE' AND cardinality(hidden) > 0 THEN (
            SELECT jsonb_object_agg(name, rows.body -> name) FROM unnest(hidden) AS name
        ) END,
        CASE WHEN TG_OP <> 'DELETE' AND cardinality(hidden) > 0 THEN gen_random_uuid() END
    FROM (SELECT to_jsonb(changed) AS body FROM changed) AS rows,
        (SELECT current_recording() AS id OFFSET 0) AS moment;
    RETURN NULL;
END $$
"""

_KEPT_BEFORE = """
CREATE OR REPLACE FUNCTION keep_history() RETURNS trigger
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    keys text[] := string_to_array(TG_ARGV[0], ',');
    hidden text[] := string_to_array(TG_ARGV[2], ',');
    keeping text[] := string_to_array(coalesce(TG_ARGV[3], ''), ',');
BEGIN
    IF NOT EXISTS (SELECT FROM changed) THEN
        RETURN NULL;
    END IF;
    INSERT INTO legal_history (table_name, row_id, parent_id, op, recording_id, image, private)
    SELECT
        TG_TABLE_NAME,
        legal_row_id(rows.body, keys),
        (rows.body ->> TG_ARGV[1])::uuid,
        TG_OP,
        moment.id,
        CASE WHEN TG_OP <> 'DELETE' THEN rows.body - hidden - keeping END,
        CASE WHEN TG_OP <> 'DELETE' AND cardinality(hidden) > 0 THEN (
            SELECT jsonb_object_agg(name, rows.body -> name) FROM unnest(hidden) AS name
        ) END
    FROM (SELECT to_jsonb(changed) AS body FROM changed) AS rows,
        (SELECT current_recording() AS id OFFSET 0) AS moment;
    RETURN NULL;
END $$
"""

# The newest image of each row once more, with its private columns under the seal from now on. It
# is taken from the history, not from the row: what was changed past it stays a difference. Only
# ids are sorted, and only of tables with private columns: the images of a large register are large.
_SEAL_PRIVATE = """
INSERT INTO legal_history
    (table_name, row_id, parent_id, op, recording_id, image, private, private_salt)
SELECT h.table_name, h.row_id, h.parent_id, 'BASELINE', (SELECT current_recording()), h.image,
    h.private, gen_random_uuid()
FROM (
    SELECT DISTINCT ON (i.table_name, i.row_id) i.id
    FROM legal_history AS i JOIN recording AS r ON r.id = i.recording_id
    WHERE i.table_name IN (SELECT table_name FROM legal_history WHERE private IS NOT NULL)
    ORDER BY i.table_name, i.row_id, r.recorded_at DESC, i.id DESC
) AS newest
JOIN legal_history AS h ON h.id = newest.id
WHERE h.op <> 'DELETE' AND h.private IS NOT NULL
"""

# Facts that were recorded without an act, by migrations and the first baseline: the act says that
# they were there when acts began to be asked for. The audit names whatever has none from here on.
_TELL = """
INSERT INTO journal_entry
    (id, recorded_at, actor, act, subject_kind, subject_id, facts, recording_id)
SELECT uuidv7(), now(), 'system', 'migrated', 'journal', 'journal', '{"revision": "0064"}',
    recording_id
FROM (
    SELECT DISTINCT recording_id FROM legal_history AS h
    WHERE NOT EXISTS (SELECT FROM journal_entry AS e WHERE e.recording_id = h.recording_id)
) AS untold
"""


def upgrade() -> None:
    op.add_column("legal_history", sa.Column("private_salt", sa.Uuid(), nullable=True))
    op.execute(_KEEP_HISTORY)
    op.execute(_SEAL_PRIVATE)
    op.execute(_TELL)


def downgrade() -> None:
    sealed = op.get_bind().execute(
        sa.text(
            "SELECT 1 FROM journal_leaf AS l JOIN legal_history AS h ON h.id = l.entry_id"
            " WHERE h.private_salt IS NOT NULL LIMIT 1"
        )
    )
    if sealed.first() is not None:
        raise RuntimeError("An older version cannot verify what is sealed: keep this one.")
    op.execute(_KEPT_BEFORE)
    op.drop_column("legal_history", "private_salt")

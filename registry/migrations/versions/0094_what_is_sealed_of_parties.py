"""What a vault seals of parties is sealed with their rows, as it stands; each CNIC names its party.

Until now nothing told of another's CNIC, or of older details, put into a row. A row that is not what
was sealed of it last stays so, and is named as before. CNICs name their party once
`milkiyat keys rotate` has run.
"""

from __future__ import annotations

from alembic import op

revision = "0094"
down_revision = "0093"
branch_labels = None
depends_on = None

_AS_TRIGGERS_WRITE = """
SELECT set_config('timezone', 'UTC', true), set_config('bytea_output', 'hex', true)
"""

# As `registry.history.sealed` makes them: images of a thousand rows each. Once: whoever lets this
# migration run again would have what they changed sealed.
_SEAL = """
WITH image AS (
    SELECT h.id, r.recorded_at, h.private_salt AS salt, h.image -> 'rows' AS rows,
        h.image -> 'columns' AS columns
    FROM legal_history AS h LEFT JOIN recording AS r ON r.id = h.recording_id
    WHERE h.table_name = 'party' AND h.op = 'ROWS'
), newest AS (
    SELECT DISTINCT ON (sealed.key) sealed.key, sealed.value AS hash, image.salt, ARRAY(
        SELECT a.attname::text FROM pg_attribute AS a
        WHERE a.attrelid = 'party'::regclass AND a.attnum > 0 AND NOT a.attisdropped
            AND NOT image.columns ? a.attname::text
    ) AS uncovered
    FROM image CROSS JOIN LATERAL jsonb_each_text(image.rows) AS sealed
    ORDER BY sealed.key, image.recorded_at DESC, image.id DESC
), moment AS (
    SELECT current_recording() AS recording, gen_random_uuid() AS salt OFFSET 0
)
INSERT INTO legal_history (table_name, row_id, op, recording_id, image, private_salt)
SELECT 'party', (array_agg(said.id ORDER BY said.id))[1], 'ROWS', moment.recording,
    jsonb_build_object('columns', covered.names, 'rows', jsonb_object_agg(said.id, encode(
        sha256(convert_to(moment.salt::text || said.body::text, 'UTF8')), 'hex'))),
    moment.salt
FROM moment, (
    SELECT to_jsonb(array_agg(attname::text ORDER BY attnum)) AS names FROM pg_attribute
    WHERE attrelid = 'party'::regclass AND attnum > 0 AND NOT attisdropped
        AND attname::text <> ALL ('{sealed_with,version}')
) AS covered, (
    SELECT p.id, to_jsonb(p) - '{sealed_with,version}'::text[] AS body,
        (row_number() OVER (ORDER BY p.id) - 1) / 1000 AS part
    FROM party AS p JOIN newest ON newest.key = p.id::text
    WHERE newest.hash = encode(sha256(convert_to(
        newest.salt::text || (to_jsonb(p) - newest.uncovered)::text, 'UTF8')), 'hex')
) AS said
WHERE NOT EXISTS (SELECT FROM image WHERE image.columns ? 'cnic_sealed')
GROUP BY said.part, moment.recording, moment.salt, covered.names
"""


def upgrade() -> None:
    op.execute(_AS_TRIGGERS_WRITE)
    op.execute(_SEAL)
    # What names no party stands sealed: `milkiyat keys rotate` finds these persons.
    op.execute("UPDATE party SET sealed_with = 'cnic' WHERE cnic_sealed IS NOT NULL")


def downgrade() -> None:
    """Leave what was sealed, which verifies as it did; CNICs that name their party stay sealed so."""

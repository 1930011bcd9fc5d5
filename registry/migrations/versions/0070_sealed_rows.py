"""Rows without a history are sealed by their hashes, an image for each statement (ADR 0071).

The triggers are put up by `registry.history.install`, after the last migration. What stands in the
tables by then is sealed as it stands: before, nothing said what it had been.
"""

from __future__ import annotations

from alembic import op

revision = "0070"
down_revision = "0073"
branch_labels = None
depends_on = None

# Once a statement, not once a row: 10,000 orders that a close writes are ten images. Argument: the
# columns that are no part of the hash; where an UPDATE changes no others, nothing is written.
_SEAL_ROWS = """
CREATE FUNCTION seal_rows() RETURNS trigger
LANGUAGE plpgsql SET timezone = 'UTC' SET bytea_output = 'hex' AS $$
DECLARE
    aside text[] := string_to_array(TG_ARGV[0], ',');
    salt uuid := gen_random_uuid();
    bodies jsonb[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        bodies := ARRAY(SELECT to_jsonb(c) - aside FROM changed AS c);
    ELSIF TG_OP = 'UPDATE' THEN
        bodies := ARRAY(
            SELECT to_jsonb(c) - aside FROM changed AS c
            EXCEPT ALL SELECT to_jsonb(b) - aside FROM before AS b
        );
    ELSE
        bodies := ARRAY(SELECT jsonb_build_object('id', c.id) FROM changed AS c);
    END IF;
    IF cardinality(bodies) = 0 THEN
        RETURN NULL;
    END IF;
    INSERT INTO legal_history (table_name, row_id, op, recording_id, image, private_salt)
    SELECT
        TG_TABLE_NAME,
        (bodies[min(place)] ->> 'id')::uuid,
        'ROWS',
        moment.id,
        jsonb_build_object(
            'columns', (SELECT jsonb_agg(name) FROM jsonb_object_keys(bodies[1]) AS name),
            'rows', jsonb_object_agg(body ->> 'id', CASE WHEN TG_OP <> 'DELETE' THEN
                encode(sha256(convert_to(salt::text || body::text, 'UTF8')), 'hex')
            END)
        ),
        salt
    FROM unnest(bodies) WITH ORDINALITY AS sealed (body, place),
        (SELECT current_recording() AS id OFFSET 0) AS moment
    GROUP BY (place - 1) / 1000, moment.id;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.execute(_SEAL_ROWS)


def downgrade() -> None:
    # The triggers go with it; what is sealed stays, and verifies as it did.
    op.execute("DROP FUNCTION seal_rows() CASCADE")

"""The journal sealed, and the history of every legal row.

The triggers on the legal tables themselves are put up by `registry.history.install` after the
last migration, so that tables of later migrations have them too.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# The moment of a transaction is set at COMMIT, by the database, once.
_RECORDING_IS_TIMED_HERE = """
CREATE FUNCTION time_recording() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.recorded_at := NULL;
    ELSIF OLD.recorded_at IS NOT NULL OR NEW.id <> OLD.id THEN
        RAISE EXCEPTION 'AUD-01: a recording is timed once'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'aud_01';
    ELSE
        NEW.recorded_at := clock_timestamp();
    END IF;
    RETURN NEW;
END $$
"""

_ON_RECORDING = """
CREATE TRIGGER recording_timed BEFORE INSERT OR UPDATE
ON recording FOR EACH ROW EXECUTE FUNCTION time_recording()
"""

_RECORDING_CLOSES = """
CREATE FUNCTION close_recording() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE recording SET recorded_at = clock_timestamp() WHERE id = NEW.id AND recorded_at IS NULL;
    RETURN NULL;
END $$
"""

_AT_COMMIT = """
CREATE CONSTRAINT TRIGGER recording_closes AFTER INSERT ON recording
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION close_recording()
"""

# The recording of this transaction, opened by whoever asks first. One that is closed, or that
# somebody else named, is not written to again.
_CURRENT_RECORDING = """
CREATE FUNCTION current_recording() RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    named text := current_setting('milkiyat.recording', true);
    opened uuid;
BEGIN
    IF named <> '' AND EXISTS (
        SELECT FROM recording WHERE id = named::uuid AND recorded_at IS NULL
    ) THEN
        RETURN named::uuid;
    END IF;
    opened := uuidv7();
    INSERT INTO recording (id) VALUES (opened);
    PERFORM set_config('milkiyat.recording', opened::text, true);
    RETURN opened;
END $$
"""

# Once a statement, not once a row: COPY of a thousand rows costs one call.
# Arguments: the key's columns, the parent's column, the private columns.
_KEEP_HISTORY = """
CREATE FUNCTION keep_history() RETURNS trigger LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    keys text[] := string_to_array(TG_ARGV[0], ',');
    hidden text[] := string_to_array(TG_ARGV[2], ',');
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
        CASE WHEN TG_OP <> 'DELETE' THEN rows.body - hidden END,
        CASE WHEN TG_OP <> 'DELETE' AND cardinality(hidden) > 0 THEN (
            SELECT jsonb_object_agg(name, rows.body -> name) FROM unnest(hidden) AS name
        ) END
    FROM (SELECT to_jsonb(changed) AS body FROM changed) AS rows,
        (SELECT current_recording() AS id OFFSET 0) AS moment;
    RETURN NULL;
END $$
"""

# A row of one id is known by it; one of several columns by a hash of them.
_LEGAL_ROW_ID = """
CREATE FUNCTION legal_row_id(body jsonb, keys text[]) RETURNS uuid
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN cardinality(keys) = 1 THEN (body ->> keys[1])::uuid
        ELSE (
            SELECT md5(string_agg(body ->> name, '/' ORDER BY place))::uuid
            FROM unnest(keys) WITH ORDINALITY AS part (name, place)
        )
    END
$$
"""

_KNOWN_AT = """
CREATE FUNCTION known_at() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT current_setting('milkiyat.known_at')::timestamptz
$$
"""

_QUEUE = """
CREATE FUNCTION queue_for_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO journal_pending (kind, entry_id) SELECT TG_ARGV[0], id FROM added;
    RETURN NULL;
END $$
"""

# A function of its own: it goes with this migration, and takes its triggers along.
_NO_TRUNCATE = """
CREATE FUNCTION refuse_gap_in_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'AUD-01: % keeps a history, which TRUNCATE would evade', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'aud_01';
END $$
"""

_SEALED_TABLES = ("legal_history", "journal_leaf", "journal_node", "journal_seal")

_FUNCTIONS = (
    "refuse_gap_in_history()",
    "queue_for_seal()",
    "keep_history()",
    "legal_row_id(jsonb, text[])",
    "known_at()",
    "current_recording()",
    "close_recording()",
    "time_recording()",
)


def upgrade() -> None:
    _create_tables()
    for statement in (
        _RECORDING_IS_TIMED_HERE,
        _ON_RECORDING,
        _RECORDING_CLOSES,
        _AT_COMMIT,
        _CURRENT_RECORDING,
        _LEGAL_ROW_ID,
        _KEEP_HISTORY,
        _KNOWN_AT,
        _QUEUE,
        _NO_TRUNCATE,
    ):
        op.execute(statement)
    op.add_column("journal_entry", sa.Column("recording_id", sa.Uuid(), nullable=True))
    op.alter_column(
        "journal_entry", "recording_id", server_default=sa.text("current_recording()")
    )
    # What was journalled before there were seals is sealed first.
    op.execute("INSERT INTO journal_pending SELECT 'act', id FROM journal_entry ORDER BY id")
    for table, kind in (("journal_entry", "act"), ("legal_history", "fact")):
        op.execute(
            f"CREATE TRIGGER {table}_queued AFTER INSERT ON {table} "
            "REFERENCING NEW TABLE AS added "
            f"FOR EACH STATEMENT EXECUTE FUNCTION queue_for_seal('{kind}')"
        )
    for table in _SEALED_TABLES:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE "
            f"ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
    op.execute(
        "CREATE TRIGGER recording_append_only BEFORE DELETE OR TRUNCATE "
        "ON recording FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )


def _create_tables() -> None:
    op.create_table(
        "recording",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "legal_history",
        sa.Column("id", sa.Uuid(), server_default=sa.text("uuidv7()"), nullable=False),
        sa.Column("table_name", sa.String(), nullable=False),
        sa.Column("row_id", sa.Uuid(), nullable=False),
        sa.Column("parent_id", sa.Uuid(), nullable=True),
        sa.Column("op", sa.String(), nullable=False),
        sa.Column("recording_id", sa.Uuid(), nullable=False),
        sa.Column("image", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.Column("private", postgresql.JSONB(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_legal_history_row", "legal_history", ["row_id"])
    op.create_index("ix_legal_history_parent", "legal_history", ["parent_id"])
    op.create_table(
        "journal_pending",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.CheckConstraint("kind IN ('act', 'fact')", name="ck_journal_pending_kind"),
    )
    op.create_table(
        "journal_leaf",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("entry_id", sa.Uuid(), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("entry_id"),
    )
    op.create_table(
        "journal_node",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("node_hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "position"),
    )
    op.create_table(
        "journal_seal",
        sa.Column("tree_size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("previous_root", sa.LargeBinary(), nullable=False),
        sa.Column("edge", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tree_size"),
        sa.UniqueConstraint("first_seq"),
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER journal_entry_queued ON journal_entry")
    op.alter_column("journal_entry", "recording_id", server_default=None)
    op.drop_column("journal_entry", "recording_id")
    for table in (*_SEALED_TABLES, "journal_pending", "recording"):
        op.drop_table(table)
    for function in _FUNCTIONS:
        # With the triggers that `registry.history.install` put on the legal tables.
        op.execute(f"DROP FUNCTION {function} CASCADE")

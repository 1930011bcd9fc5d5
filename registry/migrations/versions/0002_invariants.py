"""The invariants that the database itself keeps, whatever the code above it does."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# VER-01. Without btree_gist the title's id joins the exclusion as a one-point range of its hash;
# an exact comparison of the id itself is not needed, since a hash collision only refuses more.
_VERSIONS_NEVER_OVERLAP = """
ALTER TABLE title_version ADD CONSTRAINT ex_title_version_overlap EXCLUDE USING gist (
    int8range(hashtextextended(title_id::text, 0), hashtextextended(title_id::text, 0), '[]')
        WITH &&,
    tstzrange(valid_from, valid_to) WITH &&
) WHERE (superseded_at IS NULL)
"""

# SHR-01, at COMMIT: a version and its shares are written in any order within a transaction.
_SHARES_MAKE_THE_WHOLE = """
CREATE FUNCTION check_title_shares() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    versions uuid[];
    version uuid;
    whole bigint;
    total numeric;
BEGIN
    IF TG_TABLE_NAME = 'title_version' THEN
        versions := ARRAY[NEW.id];
    ELSIF TG_OP = 'DELETE' THEN
        versions := ARRAY[OLD.version_id];
    ELSIF TG_OP = 'INSERT' THEN
        versions := ARRAY[NEW.version_id];
    ELSE
        -- A share that moves to another version leaves a gap in its own.
        versions := ARRAY[OLD.version_id, NEW.version_id];
    END IF;
    FOREACH version IN ARRAY versions LOOP
        SELECT kul_hissay INTO whole FROM title_version WHERE id = version;
        CONTINUE WHEN whole IS NULL;
        SELECT coalesce(sum(hissa), 0) INTO total FROM title_share WHERE version_id = version;
        IF total <> whole THEN
            RAISE EXCEPTION 'SHR-01: the shares of title version % sum to % of %',
                version, total, whole
                USING ERRCODE = 'check_violation', CONSTRAINT = 'shr_01';
        END IF;
    END LOOP;
    RETURN NULL;
END $$
"""

_ON_VERSION = """
CREATE CONSTRAINT TRIGGER title_version_shares AFTER INSERT OR UPDATE OF kul_hissay
ON title_version DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_title_shares()
"""

_ON_SHARE = """
CREATE CONSTRAINT TRIGGER title_share_shares AFTER INSERT OR UPDATE OR DELETE
ON title_share DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_title_shares()
"""

# AUD-01: what is written in the journal stays.
_APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'AUD-01: % is append-only', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'aud_01';
END $$
"""

_JOURNAL_IS_APPEND_ONLY = """
CREATE TRIGGER journal_entry_append_only BEFORE UPDATE OR DELETE OR TRUNCATE
ON journal_entry FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
"""


def upgrade() -> None:
    for statement in (
        _VERSIONS_NEVER_OVERLAP,
        _SHARES_MAKE_THE_WHOLE,
        _ON_VERSION,
        _ON_SHARE,
        _APPEND_ONLY,
        _JOURNAL_IS_APPEND_ONLY,
    ):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER journal_entry_append_only ON journal_entry")
    op.execute("DROP FUNCTION refuse_change")
    op.execute("DROP TRIGGER title_share_shares ON title_share")
    op.execute("DROP TRIGGER title_version_shares ON title_version")
    op.execute("DROP FUNCTION check_title_shares")
    op.execute("ALTER TABLE title_version DROP CONSTRAINT ex_title_version_overlap")

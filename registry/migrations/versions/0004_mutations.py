"""Mutations, and what the database keeps of them and of titles."""

from __future__ import annotations

import sqlalchemy as sa
import sqlmodel
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# MUT-03: an implemented mutation never changes. It may only be marked as reversed, which a
# mutation of its own must have done.
_MUTATION_STAYS = """
CREATE FUNCTION refuse_mutation_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND OLD.state NOT IN ('IMPLEMENTED', 'REVERSED') THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND OLD.state = 'IMPLEMENTED' AND NEW.state = 'REVERSED'
        AND to_jsonb(NEW) - 'state' = to_jsonb(OLD) - 'state'
        AND EXISTS (SELECT FROM mutation WHERE reverses_id = OLD.id AND state = 'IMPLEMENTED')
    THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'MUT-03: mutation % stays as it is', OLD.id
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'mut_03';
END $$
"""

_ON_MUTATION = """
CREATE TRIGGER mutation_stays BEFORE UPDATE OR DELETE
ON mutation FOR EACH ROW EXECUTE FUNCTION refuse_mutation_change()
"""

_PARTS_STAY = """
CREATE FUNCTION refuse_mutation_part_change() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    touched uuid[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        touched := ARRAY[NEW.mutation_id];
    ELSIF TG_OP = 'DELETE' THEN
        touched := ARRAY[OLD.mutation_id];
    ELSE
        touched := ARRAY[OLD.mutation_id, NEW.mutation_id];
    END IF;
    IF EXISTS (
        SELECT FROM mutation WHERE id = ANY (touched) AND state IN ('IMPLEMENTED', 'REVERSED')
    ) THEN
        RAISE EXCEPTION 'MUT-03: the parts of an implemented mutation stay as they are'
            USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = 'mut_03';
    END IF;
    IF TG_OP = 'DELETE' THEN
        RETURN OLD;
    END IF;
    RETURN NEW;
END $$
"""

_ON_PARTY = """
CREATE TRIGGER mutation_party_stays BEFORE INSERT OR UPDATE OR DELETE
ON mutation_party FOR EACH ROW EXECUTE FUNCTION refuse_mutation_part_change()
"""

_ON_TITLE_LINK = """
CREATE TRIGGER mutation_title_stays BEFORE INSERT OR UPDATE OF mutation_id, title_id, part OR DELETE
ON mutation_title FOR EACH ROW EXECUTE FUNCTION refuse_mutation_part_change()
"""

# MUT-01 is a partial unique index over `open`; `open` itself is not left to the code above.
_OPEN_FOLLOWS_STATE = """
CREATE FUNCTION close_mutation_titles() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE mutation_title
    SET open = NEW.state NOT IN ('IMPLEMENTED', 'REVERSED', 'REJECTED', 'WITHDRAWN')
    WHERE mutation_id = NEW.id;
    RETURN NULL;
END $$
"""

_ON_STATE = """
CREATE TRIGGER mutation_closes_titles AFTER UPDATE OF state
ON mutation FOR EACH ROW EXECUTE FUNCTION close_mutation_titles()
"""

# A TRUNCATE fires no row trigger, so it would pass by SHR-01, VER-01 and MUT-03.
_NEVER_EMPTIED = """
CREATE FUNCTION refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: % is never emptied', TG_ARGV[1], TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation', CONSTRAINT = TG_ARGV[0];
END $$
"""
_KEPT = {
    "title_share": ("shr_01", "SHR-01"),
    "title_version": ("ttl_01", "TTL-01"),
    "mutation": ("mut_03", "MUT-03"),
    "mutation_party": ("mut_03", "MUT-03"),
    "mutation_title": ("mut_03", "MUT-03"),
}

# TTL-01, at COMMIT: a title that binds has a version in force. That it has no second one is
# VER-01, and that its asset has no second title is a unique column.
_ONE_PRIMARY_RIGHT = """
CREATE FUNCTION check_primary_right() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    titles uuid[];
    missing uuid;
BEGIN
    IF TG_TABLE_NAME = 'title' THEN
        titles := ARRAY[NEW.id];
    ELSIF TG_OP = 'DELETE' THEN
        titles := ARRAY[OLD.title_id];
    ELSE
        titles := ARRAY[OLD.title_id, NEW.title_id];
    END IF;
    SELECT id INTO missing FROM title
    WHERE id = ANY (titles) AND state IN ('ACTIVE', 'MUTATION_PENDING', 'DISPUTED')
        AND NOT EXISTS (
            SELECT FROM title_version
            WHERE title_id = title.id AND superseded_at IS NULL AND valid_to IS NULL
        );
    IF missing IS NOT NULL THEN
        RAISE EXCEPTION 'TTL-01: title % has no version in force', missing
            USING ERRCODE = 'check_violation', CONSTRAINT = 'ttl_01';
    END IF;
    RETURN NULL;
END $$
"""

# The condition is looked at at once: a hundred thousand imported claims queue nothing.
_ON_TITLE = """
CREATE CONSTRAINT TRIGGER title_primary_right AFTER INSERT OR UPDATE OF state
ON title DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
WHEN (NEW.state IN ('ACTIVE', 'MUTATION_PENDING', 'DISPUTED'))
EXECUTE FUNCTION check_primary_right()
"""

_ON_VERSION = """
CREATE CONSTRAINT TRIGGER title_version_primary_right
AFTER UPDATE OF title_id, valid_to, superseded_at OR DELETE
ON title_version DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION check_primary_right()
"""


def _text(name: str, *, nullable: bool = True) -> sa.Column[str]:
    return sa.Column(name, sqlmodel.sql.sqltypes.AutoString(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "mutation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("title_id", sa.Uuid(), nullable=False),
        sa.Column("version_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("initiation", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        _text("number", nullable=False),
        sa.Column("entered_on", sa.Date(), nullable=False),
        sa.Column("kul_hissay", sa.BigInteger(), nullable=False),
        sa.Column("predecessor_id", sa.Uuid(), nullable=True),
        sa.Column("reverses_id", sa.Uuid(), nullable=True),
        sa.Column("encumbrance_id", sa.Uuid(), nullable=True),
        sa.Column("effective_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("land_value_paisa", sa.BigInteger(), nullable=True),
        sa.Column("assessed_paisa", sa.BigInteger(), nullable=True),
        _text("fard_token_no"),
        sa.Column("fard_token_on", sa.Date(), nullable=True),
        _text("rapat_no"),
        sa.Column("rapat_on", sa.Date(), nullable=True),
        _text("deed_no"),
        _text("court"),
        _text("misl_no"),
        sa.Column("decree_on", sa.Date(), nullable=True),
        _text("fee_receipt_no"),
        sa.Column("notice_on", sa.Date(), nullable=True),
        sa.Column("source_document_id", sa.Uuid(), nullable=True),
        _text("maker", nullable=False),
        _text("field_verifier"),
        _text("revenue_officer"),
        _text("registrar_checker"),
        _text("order_text"),
        _text("reason"),
        sa.Column("attested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("implemented_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("appeal_filed", sa.Boolean(), nullable=True),
        sa.CheckConstraint("kul_hissay > 0", name="ck_mutation_whole"),
        sa.CheckConstraint(
            "field_verifier <> maker AND revenue_officer <> maker AND registrar_checker <> maker"
            " AND revenue_officer <> field_verifier AND registrar_checker <> field_verifier"
            " AND registrar_checker <> revenue_officer",
            name="ck_mutation_four_people",
        ),
        sa.ForeignKeyConstraint(["title_id"], ["title.id"]),
        sa.ForeignKeyConstraint(["version_id"], ["title_version.id"]),
        sa.ForeignKeyConstraint(["predecessor_id"], ["mutation.id"]),
        sa.ForeignKeyConstraint(["reverses_id"], ["mutation.id"]),
        sa.ForeignKeyConstraint(["encumbrance_id"], ["encumbrance.id"]),
        sa.ForeignKeyConstraint(["source_document_id"], ["document.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("title_id", "number", name="uq_mutation_number"),
    )
    op.create_index("ix_mutation_title_id", "mutation", ["title_id"])
    op.create_index(
        "uq_mutation_reverses",
        "mutation",
        ["reverses_id"],
        unique=True,
        postgresql_where=sa.text("state NOT IN ('REJECTED', 'WITHDRAWN')"),
    )
    op.create_table(
        "mutation_party",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("mutation_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("party_id", sa.Uuid(), nullable=False),
        sa.Column("hissa", sa.BigInteger(), nullable=True),
        sa.Column("held_hissa", sa.BigInteger(), nullable=True),
        sa.Column("died_on", sa.Date(), nullable=True),
        _text("relation"),
        sa.CheckConstraint(
            "(part = 'WITNESS') = (hissa IS NULL) AND hissa > 0", name="ck_mutation_party_hissa"
        ),
        sa.CheckConstraint(
            "(part = 'SELLER') = (held_hissa IS NOT NULL)", name="ck_mutation_party_held"
        ),
        sa.ForeignKeyConstraint(["mutation_id"], ["mutation.id"]),
        sa.ForeignKeyConstraint(["party_id"], ["party.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("mutation_id", "part", "party_id", name="uq_mutation_party"),
    )
    op.create_index("ix_mutation_party_mutation_id", "mutation_party", ["mutation_id"])
    op.create_table(
        "mutation_title",
        sa.Column("mutation_id", sa.Uuid(), nullable=False),
        sa.Column("title_id", sa.Uuid(), nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(["mutation_id"], ["mutation.id"]),
        sa.ForeignKeyConstraint(["title_id"], ["title.id"]),
        sa.PrimaryKeyConstraint("mutation_id", "title_id"),
    )
    op.create_index(
        "uq_mutation_title_open",
        "mutation_title",
        ["title_id"],
        unique=True,
        postgresql_where=sa.text("open"),
    )
    op.add_column("title_version", sa.Column("mutation_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(
        "fk_title_version_mutation", "title_version", "mutation", ["mutation_id"], ["id"]
    )
    op.create_index("ix_title_version_mutation_id", "title_version", ["mutation_id"])
    for statement in (
        _MUTATION_STAYS,
        _ON_MUTATION,
        _PARTS_STAY,
        _ON_PARTY,
        _ON_TITLE_LINK,
        _OPEN_FOLLOWS_STATE,
        _ON_STATE,
        _NEVER_EMPTIED,
        _ONE_PRIMARY_RIGHT,
        _ON_TITLE,
        _ON_VERSION,
    ):
        op.execute(statement)
    for table, (constraint, rule) in _KEPT.items():
        op.execute(
            f"CREATE TRIGGER {table}_never_emptied BEFORE TRUNCATE ON {table}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION refuse_truncate('{constraint}', '{rule}')"
        )


def downgrade() -> None:
    for table in _KEPT:
        op.execute(f"DROP TRIGGER {table}_never_emptied ON {table}")
    op.execute("DROP FUNCTION refuse_truncate")
    op.execute("DROP TRIGGER title_version_primary_right ON title_version")
    op.execute("DROP TRIGGER title_primary_right ON title")
    op.execute("DROP FUNCTION check_primary_right")
    op.drop_index("ix_title_version_mutation_id", "title_version")
    op.drop_constraint("fk_title_version_mutation", "title_version", type_="foreignkey")
    op.drop_column("title_version", "mutation_id")
    op.drop_table("mutation_title")
    op.drop_table("mutation_party")
    op.drop_table("mutation")
    op.execute("DROP FUNCTION close_mutation_titles")
    op.execute("DROP FUNCTION refuse_mutation_part_change")
    op.execute("DROP FUNCTION refuse_mutation_change")

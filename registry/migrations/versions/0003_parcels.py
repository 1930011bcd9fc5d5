"""Parcels: ground that no two assets share, and shares in it that never pass the whole."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from registry.parcel.models import Box

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# PAR-04, at COMMIT, exact: fractions over whole numbers, never a quotient. Whoever checks a parent
# holds its lock until the end, and looks only then: the second of two sees what the first wrote.
_SHARES_FIT_THE_PARENT = """
CREATE FUNCTION check_undivided_shares() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    part record;
    common numeric;
    num numeric := 0;
    den numeric := 1;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended(NEW.parent_key, 4));
    FOR part IN
        SELECT denominator::numeric AS den, sum(numerator) AS num
        FROM undivided_share WHERE live AND parent_key = NEW.parent_key GROUP BY denominator
    LOOP
        common := lcm(den, part.den);
        num := num * div(common, den) + part.num * div(common, part.den);
        den := common;
    END LOOP;
    IF num > den THEN
        RAISE EXCEPTION 'PAR-04: the live shares in % sum to more than the whole', NEW.parent_key
            USING ERRCODE = 'check_violation', CONSTRAINT = 'par_04';
    END IF;
    RETURN NULL;
END $$
"""

_ON_SHARE = """
CREATE CONSTRAINT TRIGGER undivided_share_fits
AFTER INSERT OR UPDATE OF parent_key, numerator, denominator, live ON undivided_share
DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.live)
EXECUTE FUNCTION check_undivided_shares()
"""


def upgrade() -> None:
    op.create_table(
        "parcel",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("mauza_key", sa.String(), nullable=False),
        sa.Column("kanal", sa.Integer(), nullable=True),
        sa.Column("marla", sa.Integer(), nullable=True),
        sa.Column("sarsai", sa.Numeric(6, 4), nullable=True),
        sa.Column("marla_kind", sa.String(), nullable=True),
        sa.Column("plain_quantity", sa.Numeric(), nullable=True),
        sa.Column("plain_unit", sa.String(), nullable=True),
        sa.Column("deed_sqm", sa.Numeric(), nullable=True),
        sa.Column("geometry", sa.LargeBinary(), nullable=True),
        sa.Column("box", Box(), nullable=True),
        sa.Column("area_sqm", sa.Numeric(20, 4), nullable=True),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "(geometry IS NULL) = (box IS NULL) AND (geometry IS NULL) = (area_sqm IS NULL)",
            name="ck_parcel_measured",
        ),
        sa.CheckConstraint("NOT live OR geometry IS NOT NULL", name="ck_parcel_live_is_surveyed"),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("asset_id", "number", name="uq_parcel_number"),
    )
    op.create_index(
        "ix_parcel_live_box",
        "parcel",
        ["box"],
        postgresql_using="gist",
        postgresql_where=sa.text("live"),
    )
    op.create_table(
        "undivided_share",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("parent_key", sa.String(), nullable=False),
        sa.Column("numerator", sa.BigInteger(), nullable=False),
        sa.Column("denominator", sa.BigInteger(), nullable=False),
        sa.Column("live", sa.Boolean(), nullable=False),
        sa.CheckConstraint(
            "numerator > 0 AND numerator <= denominator", name="ck_undivided_share_is_part"
        ),
        sa.ForeignKeyConstraint(["asset_id"], ["asset.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("asset_id", "parent_key", name="uq_undivided_share_parent"),
    )
    op.create_index(
        "ix_undivided_share_live",
        "undivided_share",
        ["parent_key"],
        postgresql_where=sa.text("live"),
    )
    op.execute(_SHARES_FIT_THE_PARENT)
    op.execute(_ON_SHARE)


def downgrade() -> None:
    op.drop_table("undivided_share")
    op.execute("DROP FUNCTION check_undivided_shares")
    op.drop_table("parcel")

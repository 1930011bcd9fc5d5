"""Groups of people, and assets, as parties."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_SEALED = (
    "CASE WHEN kind IN ({kinds}) "
    "THEN name IS NULL AND name_ur IS NULL AND details_sealed IS NOT NULL "
    "ELSE name IS NOT NULL END"
)

# Whoever is in a group, and the asset that a party is, stay: other owners are another party.
_STAYS = """
CREATE TRIGGER party_stands_for_the_same BEFORE UPDATE OF members, asset_id, kind ON party
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
"""


def upgrade() -> None:
    op.add_column(
        "party",
        sa.Column("members", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
    )
    op.add_column("party", sa.Column("asset_id", sa.Uuid(), nullable=True))
    op.create_foreign_key("party_asset_id_fkey", "party", "asset", ["asset_id"], ["id"])
    op.create_unique_constraint("party_asset_id_key", "party", ["asset_id"])
    op.create_index(
        "ix_party_members",
        "party",
        ["members"],
        postgresql_using="gin",
        postgresql_ops={"members": "jsonb_path_ops"},
    )
    op.drop_constraint("ck_party_sealed", "party", type_="check")
    op.create_check_constraint("ck_party_sealed", "party", _SEALED.format(kinds="'NATURAL', 'GROUP'"))
    op.create_check_constraint(
        "ck_party_members", "party", "(kind = 'GROUP') = (jsonb_array_length(members) > 1)"
    )
    op.create_check_constraint(
        "ck_party_asset", "party", "(kind = 'ASSET_AS_PARTY') = (asset_id IS NOT NULL)"
    )
    op.execute(_STAYS)


def downgrade() -> None:
    op.execute("DROP TRIGGER party_stands_for_the_same ON party")
    for name in ("ck_party_asset", "ck_party_members", "ck_party_sealed"):
        op.drop_constraint(name, "party", type_="check")
    op.create_check_constraint("ck_party_sealed", "party", _SEALED.format(kinds="'NATURAL'"))
    op.drop_index("ix_party_members", table_name="party")
    op.drop_constraint("party_asset_id_key", "party", type_="unique")
    op.drop_constraint("party_asset_id_fkey", "party", type_="foreignkey")
    op.drop_column("party", "asset_id")
    op.drop_column("party", "members")

"""Titles are looked for by who holds them, and persons by their tax numbers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0040"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_title_share_party", "title_share", ["party_id"])
    op.add_column("party", sa.Column("ntn_fingerprint", sa.LargeBinary(), nullable=True))
    op.create_index(op.f("ix_party_ntn_fingerprint"), "party", ["ntn_fingerprint"])
    # The numbers stand sealed: `milkiyat keys rotate` finds these persons, and indexes them.
    op.execute("UPDATE party SET sealed_with = 'ntn' WHERE details_sealed IS NOT NULL")


def downgrade() -> None:
    op.drop_index(op.f("ix_party_ntn_fingerprint"), table_name="party")
    op.drop_column("party", "ntn_fingerprint")
    op.drop_index("ix_title_share_party", table_name="title_share")

"""Readings are found by whom they told of, and by what was read, without walking all of them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0084"
down_revision = "0082"
branch_labels = None
depends_on = None

_READING = "act IN ('personal_data_read', 'report_read', 'document_read', 'kyc_paper_read')"


def upgrade() -> None:
    op.create_index(
        "ix_journal_entry_read",
        "journal_entry",
        ["subject_id", "id"],
        postgresql_where=sa.text(_READING),
    )
    op.create_index(
        "ix_journal_entry_parties",
        "journal_entry",
        [sa.literal_column("(facts -> 'parties')").label("parties")],
        postgresql_using="gin",
        postgresql_ops={"parties": "jsonb_path_ops"},
        postgresql_where=sa.text(_READING),
    )


def downgrade() -> None:
    op.drop_index("ix_journal_entry_parties", table_name="journal_entry")
    op.drop_index("ix_journal_entry_read", table_name="journal_entry")

"""Sealed papers."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

from registry.kernel.secrets import with_embedded_secrets
from registry.kernel.settings import Settings
from registry.kernel.vault import Vault

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def _vault() -> Vault:
    """Give the vault of the service; asked for only where there are papers to seal."""
    settings = with_embedded_secrets(Settings())
    assert settings.pii_key is not None
    assert settings.pii_index_key is not None
    return Vault(settings.pii_key.get_secret_value(), settings.pii_index_key.get_secret_value())


def upgrade() -> None:
    op.add_column("document", sa.Column("stored_as", sa.LargeBinary(), nullable=True))
    op.add_column("document", sa.Column("sealed", sa.LargeBinary(), nullable=True))
    op.add_column("document", sa.Column("sealed_with", sa.LargeBinary(), nullable=True))
    op.add_column("document", sa.Column("replaces_id", sa.Uuid(), nullable=True))
    op.add_column(
        "document",
        sa.Column("released", sa.Boolean(), nullable=False, server_default=sa.false()),
    )
    op.alter_column("document", "released", server_default=None)
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT id, file_name FROM document")).all()
    vault = _vault() if rows else None
    for row in rows:
        assert vault is not None
        # The paper itself lies open, under the hash of its bytes: it has no key.
        said = {"id": str(row.id), "key": None, "file_name": row.file_name}
        connection.execute(
            sa.text(
                "UPDATE document SET stored_as = sha256, sealed = :sealed, sealed_with = :none "
                "WHERE id = :id"
            ),
            {"sealed": vault.seal(json.dumps(said)), "none": b"", "id": row.id},
        )
    for name in ("stored_as", "sealed", "sealed_with"):
        op.alter_column("document", name, nullable=False)
    op.drop_column("document", "file_name")
    op.create_foreign_key(
        "document_replaces_id_fkey", "document", "document", ["replaces_id"], ["id"]
    )
    op.create_index(op.f("ix_document_sealed_with"), "document", ["sealed_with"])
    op.drop_index("uq_document_sha256", table_name="document")
    op.create_index(
        "uq_document_sha256",
        "document",
        ["sha256"],
        unique=True,
        postgresql_where=sa.text("state<>'REJECTED' AND NOT released"),
    )


def downgrade() -> None:
    op.add_column("document", sa.Column("file_name", sa.String(), nullable=True))
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT id, sealed FROM document")).all()
    vault = _vault() if rows else None
    for row in rows:
        assert vault is not None
        said = json.loads(vault.unseal(row.sealed))
        if said["key"] is not None:
            raise RuntimeError("Sealed papers cannot be read by an older version: keep this one.")
        connection.execute(
            sa.text("UPDATE document SET file_name = :name WHERE id = :id"),
            {"name": said["file_name"], "id": row.id},
        )
    op.alter_column("document", "file_name", nullable=False)
    op.drop_index("uq_document_sha256", table_name="document")
    op.create_index(
        "uq_document_sha256",
        "document",
        ["sha256"],
        unique=True,
        postgresql_where=sa.text("state<>'REJECTED'"),
    )
    op.drop_index(op.f("ix_document_sealed_with"), table_name="document")
    op.drop_constraint("document_replaces_id_fkey", "document", type_="foreignkey")
    for name in ("released", "replaces_id", "sealed_with", "sealed", "stored_as"):
        op.drop_column("document", name)

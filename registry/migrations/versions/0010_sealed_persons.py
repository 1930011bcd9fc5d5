"""Sealed persons: names of natural persons, and what else is known of anybody."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from registry.kernel.secrets import with_embedded_secrets
from registry.kernel.settings import Settings
from registry.kernel.vault import Vault

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_NAMES = ("name", "name_ur", "father_or_spouse_name")

# Who somebody is stands nowhere in the open.
_SEALED = (
    "CASE WHEN kind = 'NATURAL' "
    "THEN name IS NULL AND name_ur IS NULL AND details_sealed IS NOT NULL "
    "ELSE name IS NOT NULL END"
)

# As 0005 made it, with a fourth argument: columns that say how a row is kept, not what it says.
# They are sealed anew when keys rotate, and are no part of the past.
_KEEP_HISTORY = """
CREATE OR REPLACE FUNCTION keep_history() RETURNS trigger
LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE
    keys text[] := string_to_array(TG_ARGV[0], ',');
    hidden text[] := string_to_array(TG_ARGV[2], ',');
    keeping text[] := string_to_array(coalesce(TG_ARGV[3], ''), ',');
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
        CASE WHEN TG_OP <> 'DELETE' THEN rows.body - hidden - keeping END,
        CASE WHEN TG_OP <> 'DELETE' AND cardinality(hidden) > 0 THEN (
            SELECT jsonb_object_agg(name, rows.body -> name) FROM unnest(hidden) AS name
        ) END
    FROM (SELECT to_jsonb(changed) AS body FROM changed) AS rows,
        (SELECT current_recording() AS id OFFSET 0) AS moment;
    RETURN NULL;
END $$
"""

_FORGET_OLD_SEALS = (
    "ALTER TABLE legal_history DISABLE TRIGGER legal_history_append_only",
    """UPDATE legal_history SET private = private - ARRAY['sealed', 'sealed_with', 'stored_as']
    WHERE table_name = 'document' AND private IS NOT NULL""",
    "ALTER TABLE legal_history ENABLE TRIGGER legal_history_append_only",
)


def _vault() -> Vault:
    """Give the vault of the service; asked for only where there are persons to seal."""
    settings = with_embedded_secrets(Settings())
    assert settings.pii_key is not None
    assert settings.pii_index_key is not None
    return Vault(settings.pii_key.get_secret_value(), settings.pii_index_key.get_secret_value())


def upgrade() -> None:
    for name in ("details_sealed", "sealed_with", "passport_fingerprint", "iban_fingerprint"):
        op.add_column("party", sa.Column(name, sa.LargeBinary(), nullable=True))
    op.add_column("party", sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    op.alter_column("party", "version", server_default=None)
    op.add_column(
        "party",
        sa.Column("ubo", JSONB(), nullable=False, server_default=sa.text("'[]'::jsonb")),
    )
    op.alter_column("party", "name", nullable=True)
    _seal_everybody()
    op.drop_column("party", "father_or_spouse_name")
    op.create_check_constraint("ck_party_sealed", "party", _SEALED)
    op.create_unique_constraint("uq_party_passport", "party", ["passport_fingerprint"])
    op.create_index(op.f("ix_party_iban_fingerprint"), "party", ["iban_fingerprint"])
    op.create_index(op.f("ix_party_sealed_with"), "party", ["sealed_with"])
    op.execute(_KEEP_HISTORY)
    for statement in _FORGET_OLD_SEALS:
        op.execute(statement)


def _seal_everybody() -> None:
    connection = op.get_bind()
    rows = connection.execute(
        sa.text("SELECT id, kind, cnic_sealed, name, name_ur, father_or_spouse_name FROM party")
    ).all()
    vault = _vault() if rows else None
    for row in rows:
        assert vault is not None
        is_person = row.kind == "NATURAL"
        names = _NAMES if is_person else _NAMES[2:]
        known = {name: getattr(row, name) for name in names if getattr(row, name) is not None}
        said = json.dumps({"id": str(row.id), "known": known})
        cnic = vault.seal(vault.unseal(row.cnic_sealed)) if row.cnic_sealed else None
        connection.execute(
            sa.text(
                "UPDATE party SET details_sealed = :details, cnic_sealed = :cnic, "
                "sealed_with = :with, name = :name, name_ur = :name_ur WHERE id = :id"
            ),
            {
                "id": row.id,
                "details": vault.seal(said) if known else None,
                "cnic": cnic,
                "with": vault.key_id if known or cnic else None,
                "name": None if is_person else row.name,
                "name_ur": None if is_person else row.name_ur,
            },
        )


def downgrade() -> None:
    op.drop_index(op.f("ix_party_sealed_with"), table_name="party")
    op.drop_index(op.f("ix_party_iban_fingerprint"), table_name="party")
    op.drop_constraint("uq_party_passport", "party", type_="unique")
    op.drop_constraint("ck_party_sealed", "party", type_="check")
    op.add_column("party", sa.Column("father_or_spouse_name", sa.String(), nullable=True))
    connection = op.get_bind()
    rows = connection.execute(
        sa.text("SELECT id, details_sealed FROM party WHERE details_sealed IS NOT NULL")
    ).all()
    vault = _vault() if rows else None
    for row in rows:
        assert vault is not None
        known = json.loads(vault.unseal(row.details_sealed))["known"]
        if not known.keys() <= {*_NAMES}:
            raise RuntimeError("An older version cannot keep what is known: keep this one.")
        changes = ", ".join(f"{name} = :{name}" for name in known)
        connection.execute(
            sa.text(f"UPDATE party SET {changes} WHERE id = :id"),  # noqa: S608 (_NAMES only)
            known | {"id": row.id},
        )
    op.alter_column("party", "name", nullable=False)
    for name in (
        "ubo",
        "version",
        "iban_fingerprint",
        "passport_fingerprint",
        "sealed_with",
        "details_sealed",
    ):
        op.drop_column("party", name)
    # The fourth argument does no harm to the function of 0005, which is left as it is here.

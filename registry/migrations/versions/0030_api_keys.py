"""API keys, the person behind a principal, and buckets of requests."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None

# registry.kernel.actor.person_of: of key:land-desk@REG-7 it is REG-7.
_PERSON = """
CREATE FUNCTION acting_person(subject text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN CASE WHEN starts_with(subject, 'key:')
        THEN CASE WHEN strpos(subject, '@') = 0 THEN ''
            ELSE substr(subject, strpos(subject, '@') + 1) END
        ELSE subject END
"""

_FOUR_EYES = (
    ("approval", "ck_approval_four_eyes", (("person", "maker"),)),
    ("amendment", "ck_amendment_four_eyes", (("checker", "maker"),)),
    ("legal_case", "ck_legal_case_four_eyes", (("approved_by", "maker"),)),
    ("case_lift", "ck_case_lift_four_eyes", (("approved_by", "maker"),)),
    ("panel_valuer", "ck_panel_valuer_four_eyes", (("confirmed_by", "proposed_by"),)),
    (
        "panel_valuer",
        "ck_panel_valuer_not_by_self",
        (("valuer", "proposed_by"), ("valuer", "confirmed_by")),
    ),
    (
        "mutation",
        "ck_mutation_four_people",
        (
            ("field_verifier", "maker"),
            ("revenue_officer", "maker"),
            ("registrar_checker", "maker"),
            ("revenue_officer", "field_verifier"),
            ("registrar_checker", "field_verifier"),
            ("registrar_checker", "revenue_officer"),
        ),
    ),
)


def _renew_four_eyes(side: str) -> None:
    for table, name, pairs in _FOUR_EYES:
        op.drop_constraint(name, table)
        said = (f"{side.format(one)} <> {side.format(other)}" for one, other in pairs)
        op.create_check_constraint(name, table, " AND ".join(said))


def upgrade() -> None:
    op.execute(_PERSON)
    _renew_four_eyes("acting_person({})")
    op.create_table(
        "api_key",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("secret_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("roles", postgresql.JSONB(), nullable=False),
        sa.Column("proposed_by", sa.String(), nullable=False),
        sa.Column("confirmed_by", sa.String(), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_by", sa.String(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "acting_person(confirmed_by) <> acting_person(proposed_by)",
            name="ck_api_key_four_eyes",
        ),
        sa.CheckConstraint(
            "expires_at <= recorded_at + interval '366 days'", name="ck_api_key_term"
        ),
        sa.CheckConstraint("octet_length(secret_sha256) = 32", name="ck_api_key_hash"),
        sa.CheckConstraint("jsonb_array_length(roles) > 0", name="ck_api_key_roles"),
        sa.CheckConstraint("name !~ '@' AND name <> ''", name="ck_api_key_name"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("prefix", name="api_key_prefix_key"),
    )
    op.create_index("ix_api_key_proposed_by", "api_key", ["proposed_by"])
    op.create_table(
        "rate_limit_bucket",
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("full_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("key"),
        prefixes=["UNLOGGED"],
        # A row is rewritten with each request: beside itself on its page, and no index with it.
        postgresql_with={"fillfactor": 50},
    )


def downgrade() -> None:
    op.drop_table("rate_limit_bucket")
    op.drop_table("api_key")
    _renew_four_eyes("{}")
    op.execute("DROP FUNCTION acting_person(text)")

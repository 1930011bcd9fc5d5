"""Passkeys of investors, sessions, and invitations to a passkey."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0030"
branch_labels = None
depends_on = None


def _instant(name: str, *, nullable: bool = True) -> sa.Column:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _record() -> tuple[sa.Column, sa.Column]:
    return sa.Column("id", sa.Uuid(), nullable=False), _instant("recorded_at", nullable=False)


def upgrade() -> None:
    op.create_table(
        "passkey_invitation",
        *_record(),
        sa.Column("investor_id", sa.Uuid(), nullable=False),
        sa.Column("code_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("confirmed_by", sa.String(), nullable=True),
        _instant("confirmed_at"),
        _instant("expires_at", nullable=False),
        _instant("used_at"),
        sa.Column("revoked_by", sa.String(), nullable=True),
        _instant("revoked_at"),
        sa.CheckConstraint(
            "acting_person(confirmed_by) <> acting_person(made_by)",
            name="ck_passkey_invitation_four_eyes",
        ),
        sa.CheckConstraint("octet_length(code_sha256) = 32", name="ck_passkey_invitation_hash"),
        sa.CheckConstraint(
            "used_at IS NULL OR confirmed_by IS NOT NULL", name="ck_passkey_invitation_confirmed"
        ),
        sa.ForeignKeyConstraint(["investor_id"], ["investor.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("code_sha256", name="passkey_invitation_code_sha256_key"),
    )
    op.create_index("ix_passkey_invitation_investor_id", "passkey_invitation", ["investor_id"])
    op.create_table(
        "passkey",
        *_record(),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("user_handle", sa.LargeBinary(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("is_synced", sa.Boolean(), nullable=False),
        sa.Column("invitation_id", sa.Uuid(), nullable=True),
        _instant("last_used_at"),
        _instant("counter_regressed_at"),
        _instant("removed_at"),
        sa.CheckConstraint("octet_length(user_handle) = 32", name="ck_passkey_user_handle"),
        sa.CheckConstraint("octet_length(credential_id) <= 1023", name="ck_passkey_credential"),
        sa.CheckConstraint("sign_count >= 0", name="ck_passkey_sign_count"),
        sa.ForeignKeyConstraint(["invitation_id"], ["passkey_invitation.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("credential_id", name="passkey_credential_id_key"),
    )
    op.create_index("ix_passkey_subject", "passkey", ["subject"])
    op.create_table(
        "passkey_challenge",
        sa.Column("challenge_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("ceremony", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("user_handle", sa.LargeBinary(), nullable=True),
        _instant("expires_at", nullable=False),
        sa.PrimaryKeyConstraint("challenge_sha256"),
        prefixes=["UNLOGGED"],
    )
    op.create_index("ix_passkey_challenge_expires_at", "passkey_challenge", ["expires_at"])
    op.create_table(
        "user_session",
        *_record(),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("passkey_id", sa.Uuid(), nullable=False),
        _instant("refreshed_at", nullable=False),
        _instant("idle_until", nullable=False),
        _instant("expires_at", nullable=False),
        _instant("ended_at"),
        sa.Column("ended_for", sa.String(), nullable=True),
        sa.CheckConstraint("(ended_at IS NULL) = (ended_for IS NULL)", name="ck_user_session_end"),
        sa.ForeignKeyConstraint(["passkey_id"], ["passkey.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_user_session_subject", "user_session", ["subject"])
    op.create_index("ix_user_session_passkey_id", "user_session", ["passkey_id"])
    op.create_table(
        "refresh_token",
        sa.Column("token_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        _instant("recorded_at", nullable=False),
        sa.Column("predecessor_sha256", sa.LargeBinary(), nullable=True),
        _instant("used_at"),
        _instant("replaced_at"),
        sa.CheckConstraint("octet_length(token_sha256) = 32", name="ck_refresh_token_hash"),
        sa.ForeignKeyConstraint(["session_id"], ["user_session.id"]),
        sa.PrimaryKeyConstraint("token_sha256"),
    )
    op.create_index("ix_refresh_token_session_id", "refresh_token", ["session_id"])
    op.create_index("ix_refresh_token_predecessor_sha256", "refresh_token", ["predecessor_sha256"])


def downgrade() -> None:
    for table in ("refresh_token", "user_session", "passkey_challenge", "passkey",
                  "passkey_invitation"):  # fmt: skip
        op.drop_table(table)

"""Passkeys of investors, and the sessions of those who signed in by one."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, DateTime
from sqlmodel import Field, SQLModel

from registry.kernel.columns import Record, bigint, binary, enumeration, instant


class Ceremony(StrEnum):
    REGISTRATION = "REGISTRATION"
    SIGN_IN = "SIGN_IN"


class InvitationState(StrEnum):
    PROPOSED = "PROPOSED"
    OPEN = "OPEN"
    USED = "USED"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


class SessionEnd(StrEnum):
    """Why a session ended; one that ran out has no such reason."""

    SIGNED_OUT = "SIGNED_OUT"
    REUSE = "REUSE"
    PASSKEY_REMOVED = "PASSKEY_REMOVED"
    REVOKED = "REVOKED"
    TOO_MANY = "TOO_MANY"


class Passkey(Record, table=True):
    """A public key whose private half lies in somebody's authenticator (WebAuthn).

    Parameters
    ----------
    subject
        Whose it is. Several passkeys may be one person's.
    user_handle
        32 random bytes, which name the person to their authenticators and say nothing else.
    public_key
        As COSE writes it.
    sign_count
        Of the newest sign-in; authenticators that do not count say 0 for ever.
    is_synced
        The authenticator keeps a copy elsewhere: with the device the passkey is not lost.
    """

    __tablename__ = "passkey"
    __table_args__ = (
        CheckConstraint("octet_length(user_handle) = 32", name="ck_passkey_user_handle"),
        CheckConstraint("octet_length(credential_id) <= 1023", name="ck_passkey_credential"),
        CheckConstraint("sign_count >= 0", name="ck_passkey_sign_count"),
    )

    subject: str = Field(index=True)
    user_handle: bytes = binary()
    credential_id: bytes = binary(unique=True)
    public_key: bytes = binary()
    sign_count: int = bigint()
    name: str
    is_synced: bool
    invitation_id: UUID | None = Field(default=None, foreign_key="passkey_invitation.id")
    last_used_at: AwareDatetime | None = instant()
    counter_regressed_at: AwareDatetime | None = instant()
    removed_at: AwareDatetime | None = instant()


class PasskeyChallenge(SQLModel, table=True):
    """What an authenticator has to sign, by its hash; gone once it is answered.

    Unlogged: after a crash of the database none is open, and none that was used comes back.
    """

    __tablename__ = "passkey_challenge"
    __table_args__ = {"prefixes": ["UNLOGGED"]}

    challenge_sha256: bytes = binary(primary_key=True)
    ceremony: Ceremony = enumeration(Ceremony)
    subject: str | None = None
    user_handle: bytes | None = binary(nullable=True, default=None)
    expires_at: AwareDatetime = Field(sa_type=DateTime(timezone=True), nullable=False, index=True)


class PasskeyInvitation(Record, table=True):
    """A code by which one investor adds one passkey without being signed in.

    Parameters
    ----------
    code_sha256
        Of 256 random bits, which no slow hash is needed to protect (ADR 0042).
    """

    __tablename__ = "passkey_invitation"
    __table_args__ = (
        CheckConstraint(
            "acting_person(confirmed_by) <> acting_person(made_by)",
            name="ck_passkey_invitation_four_eyes",
        ),
        CheckConstraint("octet_length(code_sha256) = 32", name="ck_passkey_invitation_hash"),
        CheckConstraint(
            "used_at IS NULL OR confirmed_by IS NOT NULL", name="ck_passkey_invitation_confirmed"
        ),
    )

    investor_id: UUID = Field(foreign_key="investor.id", index=True)
    code_sha256: bytes = binary(unique=True)
    made_by: str
    confirmed_by: str | None = None
    confirmed_at: AwareDatetime | None = instant()
    expires_at: AwareDatetime = Field(sa_type=DateTime(timezone=True), nullable=False)
    used_at: AwareDatetime | None = instant()
    revoked_by: str | None = None
    revoked_at: AwareDatetime | None = instant()

    def state_at(self, moment: datetime) -> InvitationState:
        """Say how the invitation stands."""
        if self.used_at is not None:
            return InvitationState.USED
        if self.revoked_at is not None:
            return InvitationState.REVOKED
        if self.expires_at <= moment:
            return InvitationState.EXPIRED
        return InvitationState.PROPOSED if self.confirmed_by is None else InvitationState.OPEN


class UserSession(Record, table=True):
    """Somebody who signed in, until they sign out, or do not come back in time.

    Parameters
    ----------
    idle_until
        Without a refresh the session ends then.
    expires_at
        Then it ends, however often it was refreshed.
    """

    __tablename__ = "user_session"
    __table_args__ = (
        CheckConstraint("(ended_at IS NULL) = (ended_for IS NULL)", name="ck_user_session_end"),
    )

    subject: str = Field(index=True)
    passkey_id: UUID = Field(foreign_key="passkey.id", index=True)
    refreshed_at: AwareDatetime = instant(nullable=False)
    idle_until: AwareDatetime = instant(nullable=False)
    expires_at: AwareDatetime = instant(nullable=False)
    ended_at: AwareDatetime | None = instant()
    ended_for: str | None = None

    def is_live_at(self, moment: datetime) -> bool:
        return self.ended_at is None and moment < min(self.idle_until, self.expires_at)


class RefreshToken(SQLModel, table=True):
    """One link of a session's chain of tokens, by its hash.

    Parameters
    ----------
    predecessor_sha256
        The token that was exchanged for this one.
    replaced_at
        When another was given in its place, before anybody had used it.
    """

    __tablename__ = "refresh_token"
    __table_args__ = (
        CheckConstraint("octet_length(token_sha256) = 32", name="ck_refresh_token_hash"),
    )

    token_sha256: bytes = binary(primary_key=True)
    session_id: UUID = Field(foreign_key="user_session.id", index=True)
    recorded_at: AwareDatetime = instant(nullable=False)
    predecessor_sha256: bytes | None = binary(nullable=True, default=None, index=True)
    used_at: AwareDatetime | None = instant()
    replaced_at: AwareDatetime | None = instant()

"""Passkeys, invitations and sessions over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field

from api.schemas.common import Body, LongText, OfPerson, Read, ShortText
from registry.kernel.clock import now
from registry.passkey.models import InvitationState, Passkey, PasskeyInvitation, UserSession

Secret = Annotated[str, Field(max_length=100)]
Credential = Annotated[
    dict[str, Any],
    Field(description="What the authenticator gave, as `PublicKeyCredential.toJSON()` writes it."),
]


class CeremonyOptions(BaseModel):
    """What the authenticator is asked; `public_key` goes to WebAuthn as it is."""

    public_key: dict[str, Any]


class PasskeyCreate(Body):
    """A new passkey of yours, and what you call it."""

    credential: Credential
    name: ShortText


class PasskeyRename(Body):
    """What you call it from now on."""

    name: ShortText


class PasskeyRead(Read):
    """A passkey. `is_synced`: its authenticator keeps a copy elsewhere."""

    id: UUID
    name: str
    is_synced: bool
    is_invited: bool
    recorded_at: datetime
    last_used_at: datetime | None
    counter_regressed_at: datetime | None

    @classmethod
    def of(cls, passkey: Passkey) -> Self:
        return cls(**passkey.model_dump(), is_invited=passkey.invitation_id is not None)


class PasskeysRevoke(Body):
    """Why an investor's passkeys go."""

    reason: LongText


class PasskeysRevoked(Read):
    """How many passkeys were taken away; every session ended with its passkey."""

    passkeys: int


class InvitationCode(Body):
    """The code that you were given."""

    code: Secret


class InvitedPasskeyCreate(PasskeyCreate):
    """The same, of somebody who has a code."""

    code: Secret


class InvitationRead(OfPerson):
    """An invitation, without its code."""

    id: UUID
    investor_id: UUID
    state: InvitationState
    made_by: str
    recorded_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None
    expires_at: datetime
    used_at: datetime | None
    revoked_by: str | None
    revoked_at: datetime | None

    @classmethod
    def of(cls, invitation: PasskeyInvitation) -> InvitationRead:
        return cls(**invitation.model_dump(), state=invitation.state_at(now()))


class InvitationIssued(InvitationRead):
    """A new invitation. `code` is shown in this one answer; a repeated request gets null."""

    code: str | None

    @classmethod
    def with_code(cls, invitation: PasskeyInvitation, code: str | None) -> InvitationIssued:
        return cls(**invitation.model_dump(), state=invitation.state_at(now()), code=code)


class SessionCreate(Body):
    """The answer of a passkey to your challenge."""

    credential: Credential


class SessionRefresh(Body):
    """The newest refresh token that you were given."""

    refresh_token: Secret


class SessionTokens(BaseModel):
    """Tokens (RFC 6749 section 5.1): the one for requests, and the one for the next tokens."""

    access_token: str
    token_type: Literal["bearer"]
    expires_in: int
    refresh_token: str
    session_id: UUID
    refresh_until: datetime
    session_expires_at: datetime


class SessionRead(Read):
    """Where you are signed in."""

    id: UUID
    passkey_id: UUID
    passkey_name: str
    is_current: bool
    recorded_at: datetime
    refreshed_at: datetime
    idle_until: datetime
    expires_at: datetime

    @classmethod
    def of(cls, session: UserSession, passkey: Passkey, current: UUID | None) -> Self:
        return cls(
            **session.model_dump(), passkey_name=passkey.name, is_current=session.id == current
        )

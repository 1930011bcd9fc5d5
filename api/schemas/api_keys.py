"""API keys over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from api.schemas.common import Body, DatedInstant, LongText, Read
from api.schemas.free_text import FreeText
from registry.api_key.models import ApiKey, KeyState
from registry.kernel.actor import Role
from registry.kernel.clock import now

SystemName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]


class ApiKeyCreate(Body):
    """A key for a system; `roles` are its scopes, and you have each of them yourself."""

    name: SystemName
    roles: Annotated[list[Role], Field(min_length=1, max_length=len(Role))]
    expires_at: DatedInstant


class ApiKeyRevoke(Body):
    """Why a key ends."""

    reason: LongText


class ApiKeyRead(Read):
    """A key, without its secret. `principal` is what its acts are journalled under."""

    id: UUID
    name: str
    prefix: str
    principal: str
    state: KeyState
    roles: list[str]
    proposed_by: str
    confirmed_by: str | None
    confirmed_at: datetime | None
    expires_at: datetime
    revoked_by: str | None
    revoked_at: datetime | None
    reason: FreeText | None
    last_used_at: datetime | None
    recorded_at: datetime

    @classmethod
    def of(cls, key: ApiKey) -> ApiKeyRead:
        return cls(**_said_of(key))


class ApiKeyIssued(ApiKeyRead):
    """A new key. `secret` is shown in this one answer; a repeated request gets null."""

    secret: str | None

    @classmethod
    def with_secret(cls, key: ApiKey, secret: str | None) -> ApiKeyIssued:
        return cls(**_said_of(key), secret=secret)


def _said_of(key: ApiKey) -> dict[str, object]:
    said: dict[str, object] = key.model_dump(exclude={"secret_sha256"})
    return said | {"principal": key.actor.subject, "state": key.state_at(now())}

"""API keys: by which a registrar's system acts for the person who made its key."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, DateTime
from sqlmodel import Field

from registry.kernel.actor import Actor, Role, system_subject
from registry.kernel.columns import Record, binary, document, instant

MACHINE_ROLES = frozenset(
    {
        Role.REGISTRAR_MAKER,
        Role.WAREHOUSE_OPERATOR,
        Role.CARRIER,
        Role.OPERATIONS,
        Role.AUDITOR,
    }
)
"""What a system may be trusted with: to lodge, to count and to read. To decide takes a person."""


class KeyState(StrEnum):
    PROPOSED = "PROPOSED"
    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    REVOKED = "REVOKED"


class ApiKey(Record, table=True):
    """A key, which counts from its confirmation until it expires or is revoked.

    Parameters
    ----------
    name
        The system's. A later key of the same name and maker is the same principal: so a system
        goes on with what it lodged under the key before.
    prefix
        The public part, by which the row is found and people tell keys apart.
    secret_sha256
        Of the whole key. It has 256 random bits, which no slow hash is needed to protect.
    roles
        The scopes.
    """

    __tablename__ = "api_key"
    __table_args__ = (
        CheckConstraint(
            "acting_person(confirmed_by) <> acting_person(proposed_by)",
            name="ck_api_key_four_eyes",
        ),
        CheckConstraint("expires_at <= recorded_at + interval '366 days'", name="ck_api_key_term"),
        CheckConstraint("octet_length(secret_sha256) = 32", name="ck_api_key_hash"),
        CheckConstraint("jsonb_array_length(roles) > 0", name="ck_api_key_roles"),
        CheckConstraint("name !~ '@' AND name <> ''", name="ck_api_key_name"),
    )

    name: str
    prefix: str = Field(unique=True)
    secret_sha256: bytes = binary()
    roles: list[str] = document()
    proposed_by: str = Field(index=True)
    confirmed_by: str | None = None
    confirmed_at: AwareDatetime | None = instant()
    expires_at: AwareDatetime = Field(sa_type=DateTime(timezone=True), nullable=False)
    revoked_by: str | None = None
    revoked_at: AwareDatetime | None = instant()
    reason: str | None = None
    last_used_at: AwareDatetime | None = instant()

    def state_at(self, moment: datetime) -> KeyState:
        """Say how the key stands."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if self.expires_at <= moment:
            return KeyState.EXPIRED
        return KeyState.PROPOSED if self.confirmed_by is None else KeyState.ACTIVE

    @property
    def actor(self) -> Actor:
        """Who acts by this key; a role that no system may have is none, whatever the row says."""
        return Actor(
            subject=system_subject(self.name, self.proposed_by),
            roles=MACHINE_ROLES.intersection(self.roles),
        )

"""Approvals: who agreed to exactly which dossier."""

from __future__ import annotations

from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field

from registry.kernel.actor import Role
from registry.kernel.columns import Record, binary, enumeration, instant


class Approval(Record, table=True):
    """One person's agreement, in one role, to the dossier of one hash (APR-01).

    An edit changes the hash, so every approval given before it counts no more.
    """

    __table_args__ = (
        CheckConstraint("person <> maker", name="ck_approval_four_eyes"),
        UniqueConstraint("subject_id", "dossier_hash", "person", name="uq_approval_person"),
    )

    subject_kind: str
    subject_id: UUID = Field(index=True)
    role: Role = enumeration(Role)
    person: str
    maker: str
    dossier_hash: bytes = binary()
    expires_at: AwareDatetime = instant(nullable=False)

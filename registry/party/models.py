"""Parties (LADM LA_Party): the persons that hold rights, or act for those who do."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Column, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import declared_attr
from sqlmodel import Field

from registry.kernel.columns import Record, binary, enumeration


class PartyKind(StrEnum):
    NATURAL = "NATURAL"
    LEGAL = "LEGAL"


class Party(Record, table=True):
    """A natural or legal person; `version` rises with every change and is its ETag.

    What identifies a person stands here sealed, is found by keyed hashes, and is unique: one
    person is one party. A natural person's names are among `details_sealed`
    (`registry.party.details`); `name` and `name_ur` are those of everybody else. `ubo` lists a
    company's beneficial owners (`registry.party.ubo`).
    """

    __table_args__ = (
        CheckConstraint(
            "CASE WHEN kind = 'NATURAL' "
            "THEN name IS NULL AND name_ur IS NULL AND details_sealed IS NOT NULL "
            "ELSE name IS NOT NULL END",
            name="ck_party_sealed",
        ),
        UniqueConstraint("passport_fingerprint", name="uq_party_passport"),
    )

    kind: PartyKind = enumeration(PartyKind)
    name: str | None = None
    name_ur: str | None = None
    cnic_sealed: bytes | None = binary(nullable=True, default=None)
    cnic_fingerprint: bytes | None = binary(nullable=True, default=None, unique=True)
    details_sealed: bytes | None = binary(nullable=True, default=None)
    passport_fingerprint: bytes | None = binary(nullable=True, default=None)
    iban_fingerprint: bytes | None = binary(nullable=True, default=None, index=True)
    sealed_with: bytes | None = binary(nullable=True, default=None, index=True)
    lei: str | None = Field(default=None, unique=True)
    cuin: str | None = Field(default=None, unique=True)
    scac: str | None = None
    residence_country: str = "PK"
    ubo: list[Any] = Field(
        default_factory=list,
        sa_column=Column(JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    )
    created_by: str
    version: int = Field(default=None, nullable=False)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.__table__.c.version}  # type: ignore[attr-defined]

"""Parties (LADM LA_Party): who holds rights, or acts for those who do."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Column, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import declared_attr
from sqlmodel import Field

from registry.kernel.columns import Record, binary, enumeration


class PartyKind(StrEnum):
    """What a party is.

    A GROUP (LA_GroupParty) is people who hold together, each a part of what it holds. An
    ASSET_AS_PARTY (LADM's basic administrative unit as a party) is whoever owns another piece of
    land for the time being: so the access strip belongs to the plots along it.
    """

    NATURAL = "NATURAL"
    LEGAL = "LEGAL"
    GROUP = "GROUP"
    ASSET_AS_PARTY = "ASSET_AS_PARTY"


NAMED_OPENLY = frozenset({PartyKind.LEGAL, PartyKind.ASSET_AS_PARTY})
"""The name of a group tells whose heirs it is."""


class Party(Record, table=True):
    """One party; `version` rises with every change and is its ETag.

    What identifies a person stands here sealed, is found by keyed hashes, and is unique: one
    person is one party. A natural person's names are among `details_sealed`
    (`registry.party.details`), and so are a group's; `name` and `name_ur` are those of everybody
    else. `ubo` lists a company's beneficial owners (`registry.party.ubo`), `members` a group's
    (`registry.party.group`); these, and the asset of an asset as a party, never change.
    """

    __table_args__ = (
        CheckConstraint(
            "CASE WHEN kind IN ('NATURAL', 'GROUP') "
            "THEN name IS NULL AND name_ur IS NULL AND details_sealed IS NOT NULL "
            "ELSE name IS NOT NULL END",
            name="ck_party_sealed",
        ),
        CheckConstraint(
            "(kind = 'GROUP') = (jsonb_array_length(members) > 1)", name="ck_party_members"
        ),
        CheckConstraint(
            "(kind = 'ASSET_AS_PARTY') = (asset_id IS NOT NULL)", name="ck_party_asset"
        ),
        Index(
            "ix_party_members",
            "members",
            postgresql_using="gin",
            postgresql_ops={"members": "jsonb_path_ops"},
        ),
        # Among a million persons the companies and groups are few.
        Index("ix_party_entity", "id", postgresql_where=text("kind <> 'NATURAL'")),
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
    ntn_fingerprint: bytes | None = binary(nullable=True, default=None, index=True)
    sealed_with: bytes | None = binary(nullable=True, default=None, index=True)
    lei: str | None = Field(default=None, unique=True)
    cuin: str | None = Field(default=None, unique=True)
    scac: str | None = None
    residence_country: str = "PK"
    ubo: list[Any] = Field(
        default_factory=list,
        sa_column=Column(JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    )
    members: list[Any] = Field(
        default_factory=list,
        sa_column=Column(JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    )
    asset_id: UUID | None = Field(default=None, foreign_key="asset.id", unique=True)
    created_by: str
    version: int = Field(default=None, nullable=False)

    @declared_attr.directive
    @classmethod
    def __mapper_args__(cls) -> dict[str, Any]:
        return {"version_id_col": cls.__table__.c.version}  # type: ignore[attr-defined]

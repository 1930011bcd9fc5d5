"""Parties (LADM LA_Party): the persons that hold rights, or act for those who do."""

from __future__ import annotations

from enum import StrEnum

from sqlmodel import Field

from registry.kernel.columns import Record, binary, enumeration


class PartyKind(StrEnum):
    NATURAL = "NATURAL"
    LEGAL = "LEGAL"


class Party(Record, table=True):
    """A natural or legal person.

    The CNIC is sealed, found by its keyed hash, and unique: one person is one party.
    """

    kind: PartyKind = enumeration(PartyKind)
    name: str
    name_ur: str | None = None
    father_or_spouse_name: str | None = None
    cnic_sealed: bytes | None = binary(nullable=True, default=None)
    cnic_fingerprint: bytes | None = binary(nullable=True, default=None, unique=True)
    lei: str | None = Field(default=None, unique=True)
    cuin: str | None = Field(default=None, unique=True)
    scac: str | None = None
    residence_country: str = "PK"
    created_by: str

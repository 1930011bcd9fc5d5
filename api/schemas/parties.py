"""Parties over HTTP."""

from __future__ import annotations

from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from api.schemas.common import Body, Country, Read, ShortText
from registry.kernel.vault import Vault
from registry.party.models import Party, PartyKind
from registry.party.service import masked_cnic


class PersonFields(Body):
    """Who somebody is."""

    name: ShortText
    name_ur: ShortText | None = None
    father_or_spouse_name: ShortText | None = None
    cnic: Annotated[str | None, Field(max_length=32, examples=["35202-1234567-1"])] = None
    residence_country: Country = "PK"


class PartyCreate(PersonFields):
    """A natural or legal person to be recorded."""

    kind: PartyKind
    lei: Annotated[str | None, Field(max_length=32)] = None
    cuin: Annotated[str | None, Field(max_length=32)] = None
    scac: Annotated[str | None, Field(max_length=8)] = None


class PartyRead(Read):
    """A person as the register shows them: the CNIC is masked."""

    id: UUID
    kind: PartyKind
    name: str
    name_ur: str | None
    father_or_spouse_name: str | None
    cnic_masked: str | None
    lei: str | None
    cuin: str | None
    scac: str | None
    residence_country: str

    @classmethod
    def of(cls, vault: Vault, party: Party) -> Self:
        return cls(**party.model_dump(), cnic_masked=masked_cnic(vault, party))

"""Parties over HTTP: masked, unless their details are asked for with a reason."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from api.schemas.assets import Hissa, OwnerRead
from api.schemas.common import Body, Country, OfPerson, Read, ShortText
from registry.kernel.masking import HIDDEN, mask_iban, mask_name, mask_number
from registry.kernel.vault import Vault
from registry.kernel.whole import NO_FLAG
from registry.party.details import NAMES, Details, cnic_of, known_of
from registry.party.group import Member
from registry.party.models import NAMED_OPENLY, Party, PartyKind
from registry.party.rules import unusual_cnic
from registry.party.service import NewParty, masked_cnic
from registry.party.ubo import BeneficialOwner, OwnershipBasis

Number = Annotated[str, Field(max_length=64)]
Part = Annotated[int, Field(ge=1, le=10**15), NO_FLAG]


class AddressFields(Body):
    """Where somebody lives (IVMS101): lines, or a street and a building."""

    address_line: Annotated[list[ShortText] | None, Field(max_length=7)] = None
    street: ShortText | None = None
    building: ShortText | None = None
    town: ShortText | None = None
    post_code: ShortText | None = None
    country: Country | None = None


class BeneficialOwnerFields(Body):
    """One person behind a company; the fraction is exact, numerator and denominator."""

    party_id: UUID
    fraction: tuple[Part, Part]
    basis: OwnershipBasis

    def owner(self) -> BeneficialOwner:
        return BeneficialOwner(
            party_id=self.party_id, fraction=Fraction(*self.fraction), basis=self.basis
        )


class MemberFields(Body):
    """One member of a group, and their part of it; the whole is the sum of all parts."""

    party_id: UUID
    hissa: Hissa

    def member(self) -> Member:
        return Member(self.party_id, int(self.hissa))


class PersonFields(Body):
    """Who somebody is."""

    name: ShortText
    name_ur: ShortText | None = None
    father_or_spouse_name: ShortText | None = None
    cnic: Annotated[str | None, Field(max_length=32, examples=["35202-1234567-1"])] = None
    dob: date | None = None
    place_of_birth: ShortText | None = None
    nationality: Country | None = None
    passport: Number | None = None
    passport_country: Country | None = None
    address: AddressFields | None = None
    iban: Number | None = None
    ntn: Number | None = None
    residence_country: Country = "PK"


class PartyCreate(PersonFields):
    """A person, a group of persons, or an asset as a party, to be recorded."""

    kind: PartyKind
    lei: Annotated[str | None, Field(max_length=32)] = None
    cuin: Annotated[str | None, Field(max_length=32)] = None
    scac: Annotated[str | None, Field(max_length=8)] = None
    ubo: list[BeneficialOwnerFields] = Field(default_factory=list, max_length=50)
    members: list[MemberFields] = Field(default_factory=list, max_length=1000)
    asset_id: UUID | None = None

    def new(self) -> NewParty:
        fields = self.model_dump(exclude={"ubo", "members"})
        return NewParty(
            **fields,
            ubo=[owner.owner() for owner in self.ubo],
            members=[member.member() for member in self.members],
        )


class PartyPatch(Body):
    """What is corrected; a field that is left out stays, null forgets what was known."""

    name: ShortText | None = None
    name_ur: ShortText | None = None
    father_or_spouse_name: ShortText | None = None
    dob: date | None = None
    place_of_birth: ShortText | None = None
    nationality: Country | None = None
    passport: Number | None = None
    passport_country: Country | None = None
    address: AddressFields | None = None
    iban: Number | None = None
    ntn: Number | None = None
    residence_country: Country | None = None
    ubo: Annotated[list[BeneficialOwnerFields] | None, Field(max_length=50)] = None

    def changes(self) -> dict[str, Any]:
        fields = self.model_dump(exclude_unset=True)
        if "ubo" in fields:
            fields["ubo"] = [owner.owner() for owner in self.ubo or ()]
        return fields


class PersonalRead(Read):
    """What is known of a party, unmasked: each reading of it is journalled."""

    name: str
    name_ur: str | None
    father_or_spouse_name: str | None
    cnic: str | None
    dob: date | None
    place_of_birth: str | None
    nationality: str | None
    passport: str | None
    passport_country: str | None
    address: AddressFields | None
    iban: str | None
    ntn: str | None


class PartyRead(OfPerson):
    """A party as the register shows it: what is personal is masked.

    `personal` holds it unmasked where the caller may see it, and has asked with a reason.
    `warnings` tell what is unusual about it, and refuses nothing.
    """

    id: UUID
    kind: PartyKind
    name: str
    name_ur: str | None
    father_or_spouse_name: str | None
    cnic_masked: str | None
    year_of_birth: int | None
    place_of_birth: str | None
    nationality: str | None
    passport_masked: str | None
    passport_country: str | None
    address: str | None
    iban_masked: str | None
    ntn_masked: str | None
    lei: str | None
    cuin: str | None
    scac: str | None
    residence_country: str
    ubo: list[BeneficialOwnerFields]
    members: list[OwnerRead]
    asset_id: UUID | None
    version: int
    warnings: list[str]
    personal: PersonalRead | None = None

    def told_parties(self) -> set[UUID]:
        return {self.id}

    @classmethod
    def of(cls, vault: Vault, party: Party) -> Self:
        cnic = masked_cnic(vault, party)
        unusual = unusual_cnic(cnic) if cnic else None
        public = (
            "id", "kind", "lei", "cuin", "scac", "residence_country", "ubo", "members", "asset_id",
            "version",
        )  # fmt: skip
        return cls(
            **party.model_dump(include=set(public)),
            **_masked(known_of(vault, party), is_open=party.kind in NAMED_OPENLY),
            cnic_masked=cnic,
            warnings=[unusual] if unusual else [],
        )

    @classmethod
    def revealed(cls, vault: Vault, party: Party) -> Self:
        read = cls.of(vault, party)
        values = {name: getattr(known_of(vault, party), name) for name in NAMES}
        read.personal = PersonalRead(**values, cnic=cnic_of(vault, party))
        return read


def _masked(known: Details, *, is_open: bool) -> dict[str, Any]:
    names = {
        name: getattr(known, name)
        for name in ("name", "name_ur", "father_or_spouse_name", "place_of_birth")
    }
    if not is_open:
        names = {name: value and mask_name(value) for name, value in names.items()}
    return names | {
        "year_of_birth": known.dob.year if known.dob else None,
        "nationality": known.nationality,
        "passport_masked": known.passport and mask_number(known.passport),
        "passport_country": known.passport_country,
        "address": HIDDEN if known.address else None,
        "iban_masked": known.iban and mask_iban(known.iban),
        "ntn_masked": known.ntn and mask_number(known.ntn),
    }

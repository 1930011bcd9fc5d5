"""Declared interests over HTTP; all parts are whole numbers, as strings."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from api.schemas.assets import Hissa
from api.schemas.common import BigInteger, Body, DatedInstant, OfPerson, Read, Sha256Hex
from api.schemas.free_text import FreeText
from registry.interest.models import DeclarationState, InterestNature
from registry.interest.rules import Interest
from registry.interest.service import Declared, NewDeclaration


class InterestFields(Body):
    """What one party is to the legal person; a SHAREHOLDER or BENEFICIARY has `parts`."""

    holder_id: UUID
    nature: InterestNature
    parts: Hissa | None = None

    def interest(self) -> Interest:
        parts = None if self.parts is None else int(self.parts)
        return Interest(self.holder_id, self.nature, parts)


class DeclarationCreate(Body):
    """Everybody who has an interest from `valid_from` on.

    `whole` is the number of shares issued, or of the units of a trust; what nobody has of it is
    unknown. `paper_sha256` is the hash of the signed paper.
    """

    declared_on: date
    valid_from: DatedInstant
    valid_to: DatedInstant | None = None
    whole: Hissa
    paper_sha256: Sha256Hex
    interests: Annotated[list[InterestFields], Field(max_length=10_000)]

    def new(self) -> NewDeclaration:
        return NewDeclaration(
            declared_on=self.declared_on,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            whole=int(self.whole),
            paper_sha256=bytes.fromhex(self.paper_sha256),
            interests=[each.interest() for each in self.interests],
        )


class InterestRead(Read):
    """One line of a declaration."""

    holder_id: UUID
    nature: InterestNature
    parts: BigInteger | None


class DeclarationRead(OfPerson):
    """A declaration; only one that is CONFIRMED counts."""

    id: UUID
    party_id: UUID
    declared_on: date
    valid_from: datetime
    valid_to: datetime | None
    whole: BigInteger
    paper_sha256: str
    state: DeclarationState
    maker: str
    checker: str | None
    decided_at: datetime | None
    reason: FreeText | None
    recorded_at: datetime
    interests: list[InterestRead]

    def told_parties(self) -> set[UUID]:
        return {self.party_id, *(line.holder_id for line in self.interests)}

    @classmethod
    def of(cls, declared: Declared) -> Self:
        row = declared.declaration
        return cls(
            **row.model_dump(exclude={"paper_sha256"}),
            paper_sha256=row.paper_sha256.hex(),
            interests=[InterestRead.model_validate(line) for line in declared.interests],
        )

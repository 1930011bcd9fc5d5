"""Interests in a legal person or a trust, as it declares them: written once, never changed."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field

from registry.kernel.columns import Record, bigint, binary, enumeration, instant


class InterestNature(StrEnum):
    """What somebody is to a legal person.

    Shareholders have parts of a company, beneficiaries of a trust. The others rule over it, and
    own nothing of it: CONTROL is by other means, as by votes, a pact or the power to appoint.
    """

    SHAREHOLDER = "SHAREHOLDER"
    BENEFICIARY = "BENEFICIARY"
    SETTLOR = "SETTLOR"
    TRUSTEE = "TRUSTEE"
    PROTECTOR = "PROTECTOR"
    CONTROL = "CONTROL"


OWNING = frozenset({InterestNature.SHAREHOLDER, InterestNature.BENEFICIARY})
OF_TRUSTS = frozenset(
    {
        InterestNature.BENEFICIARY,
        InterestNature.SETTLOR,
        InterestNature.TRUSTEE,
        InterestNature.PROTECTOR,
    }
)


class DeclarationState(StrEnum):
    PROPOSED = "PROPOSED"
    CONFIRMED = "CONFIRMED"
    REJECTED = "REJECTED"


class InterestDeclaration(Record, table=True):
    """Everybody who has an interest in one legal person, from `valid_from` on.

    It holds until another that begins later, or until `valid_to`; of two that begin together the
    one decided last holds (`interest.service.in_force`). So no declaration is ever edited, and one
    that comes late finds its place. A part is one of `whole`; what nobody is declared to have is
    unknown. Only one that is CONFIRMED counts.
    """

    __tablename__ = "interest_declaration"
    __table_args__ = (
        CheckConstraint("whole > 0", name="ck_interest_declaration_whole"),
        CheckConstraint("valid_to > valid_from", name="ck_interest_declaration_valid"),
        CheckConstraint("octet_length(paper_sha256) = 32", name="ck_interest_declaration_paper"),
        CheckConstraint(
            "(state = 'PROPOSED') = (checker IS NULL) AND (checker IS NULL) = (decided_at IS NULL)",
            name="ck_interest_declaration_decided",
        ),
        CheckConstraint(
            "acting_person(checker) <> acting_person(maker)",
            name="ck_interest_declaration_four_eyes",
        ),
    )

    party_id: UUID = Field(foreign_key="party.id", index=True)
    declared_on: date
    valid_from: AwareDatetime = instant(nullable=False)
    valid_to: AwareDatetime | None = instant()
    whole: int = bigint()
    paper_sha256: bytes = binary()
    state: DeclarationState = enumeration(DeclarationState, default=DeclarationState.PROPOSED)
    maker: str
    checker: str | None = None
    decided_at: AwareDatetime | None = instant()
    reason: str | None = None


class DeclaredInterest(Record, table=True):
    """What one party is to the legal person, and how many parts of it they have.

    The parts of one declaration never pass its whole, at COMMIT (a deferred constraint trigger).
    """

    __tablename__ = "declared_interest"
    __table_args__ = (
        CheckConstraint(
            "(nature IN ('SHAREHOLDER', 'BENEFICIARY')) = (parts IS NOT NULL)",
            name="ck_declared_interest_parts",
        ),
        CheckConstraint("parts > 0", name="ck_declared_interest_positive"),
        UniqueConstraint(
            "declaration_id", "holder_id", "nature", name="uq_declared_interest_holder"
        ),
    )

    declaration_id: UUID = Field(foreign_key="interest_declaration.id")
    holder_id: UUID = Field(foreign_key="party.id", index=True)
    nature: InterestNature = enumeration(InterestNature)
    parts: int | None = bigint(default=None)

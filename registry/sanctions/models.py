"""Lists of sanctions, whom they name, who was screened, and what looked alike."""

from __future__ import annotations

from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, DateTime, UniqueConstraint
from sqlmodel import Field, SQLModel

from registry.kernel.clock import now
from registry.kernel.columns import EnumText, Record, bigint, binary, document, enumeration, instant


class ListedKind(StrEnum):
    INDIVIDUAL = "INDIVIDUAL"
    ENTITY = "ENTITY"


class HitState(StrEnum):
    OPEN = "OPEN"
    RECOMMENDED = "RECOMMENDED"
    FALSE_POSITIVE = "FALSE_POSITIVE"
    TRUE_MATCH = "TRUE_MATCH"


class Verdict(StrEnum):
    FALSE_POSITIVE = "FALSE_POSITIVE"
    TRUE_MATCH = "TRUE_MATCH"


class SanctionsList(Record, table=True):
    """One edition of a list; the newest by its own date is the one that counts.

    Parameters
    ----------
    needs_confirmation
        It names fewer than half of those whom an edition before it named: it counts once another
        officer confirms it.
    """

    __tablename__ = "sanctions_list"
    __table_args__ = (
        CheckConstraint("octet_length(sha256) = 32", name="ck_sanctions_list_hash"),
        CheckConstraint(
            "acting_person(confirmed_by) <> acting_person(uploaded_by)",
            name="ck_sanctions_list_four_eyes",
        ),
        CheckConstraint(
            "(confirmed_by IS NULL) = (confirmed_at IS NULL)"
            " AND (confirmed_by IS NULL OR needs_confirmation)",
            name="ck_sanctions_list_confirmed",
        ),
    )

    generated_at: AwareDatetime = instant(nullable=False)
    sha256: bytes = binary(unique=True)
    size_bytes: int = bigint()
    entries: int
    uploaded_by: str
    needs_confirmation: bool = False
    confirmed_by: str | None = None
    confirmed_at: AwareDatetime | None = instant()


class SanctionsEntry(Record, table=True):
    """One individual or entity of one edition.

    Parameters
    ----------
    reference
        By which the list itself names it, in every edition.
    names
        Each with its text and whether it is a weak alias.
    births
        First and last year of each date of birth.
    entry_sha256
        Of all that is compared: the same in another edition means that nothing changed.
    """

    __tablename__ = "sanctions_entry"
    __table_args__ = (
        UniqueConstraint("list_id", "reference", name="uq_sanctions_entry_reference"),
    )

    list_id: UUID = Field(foreign_key="sanctions_list.id", index=True)
    kind: ListedKind = enumeration(ListedKind)
    reference: str
    names: list[dict[str, Any]] = document()
    births: list[list[int]] = document(default_factory=list)
    nationalities: list[str] = document(default_factory=list)
    entry_sha256: bytes = binary()


class SanctionsScreening(SQLModel, table=True):
    """Against which edition a party was screened last, and as what it stood then."""

    __tablename__ = "sanctions_screening"

    party_id: UUID = Field(foreign_key="party.id", primary_key=True)
    list_id: UUID = Field(foreign_key="sanctions_list.id", index=True)
    party_version: int
    screened_at: AwareDatetime = Field(
        default_factory=now, sa_type=DateTime(timezone=True), nullable=False
    )


class SanctionsHit(Record, table=True):
    """A party that looks like an entry; a decision holds until either of them changes."""

    __tablename__ = "sanctions_hit"
    __table_args__ = (
        UniqueConstraint(
            "party_id", "reference", "party_print", "entry_sha256", name="uq_sanctions_hit_pair"
        ),
        CheckConstraint(
            "acting_person(checker) <> acting_person(maker)", name="ck_sanctions_hit_four_eyes"
        ),
    )

    party_id: UUID = Field(foreign_key="party.id", index=True)
    entry_id: UUID = Field(foreign_key="sanctions_entry.id")
    reference: str
    party_print: bytes = binary()
    entry_sha256: bytes = binary()
    score: int
    state: HitState = enumeration(HitState, default=HitState.OPEN)
    maker: str | None = None
    verdict: Verdict | None = Field(default=None, sa_type=EnumText(Verdict), nullable=True)
    reason: str | None = None
    checker: str | None = None
    decided_at: AwareDatetime | None = instant()
    decision_reason: str | None = None

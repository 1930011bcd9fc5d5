"""Mutations (intiqal): how the register learns that a right has passed."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from registry.kernel.clock import today
from registry.kernel.columns import Record, bigint, enumeration, instant


class MutationKind(StrEnum):
    SALE = "SALE"
    GIFT = "GIFT"
    TAMLEEK = "TAMLEEK"
    INHERITANCE = "INHERITANCE"
    WILL = "WILL"
    EXCHANGE = "EXCHANGE"
    PARTITION = "PARTITION"
    CONSOLIDATION = "CONSOLIDATION"
    MORTGAGE = "MORTGAGE"
    REDEMPTION = "REDEMPTION"
    COURT_DECREE = "COURT_DECREE"
    SETTLEMENT = "SETTLEMENT"
    BANK_SALE = "BANK_SALE"
    COURT_SALE = "COURT_SALE"
    ACQUISITION = "ACQUISITION"
    LEASE = "LEASE"
    FARD_BADR = "FARD_BADR"


class Initiation(StrEnum):
    """What a mutation was entered on: people's word, a registered instrument, a court's decree."""

    ORAL = "ORAL"
    REGISTERED_DEED = "REGISTERED_DEED"
    COURT = "COURT"


class MutationState(StrEnum):
    ENTERED = "ENTERED"
    FIELD_VERIFICATION = "FIELD_VERIFICATION"
    AWAITING_ATTESTATION = "AWAITING_ATTESTATION"
    STAYED = "STAYED"
    ATTESTED = "ATTESTED"
    IMPLEMENTED = "IMPLEMENTED"
    REVERSED = "REVERSED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"


CLOSED = (
    MutationState.IMPLEMENTED,
    MutationState.REVERSED,
    MutationState.REJECTED,
    MutationState.WITHDRAWN,
)
"""States in which a mutation no longer waits for anybody."""


class Mutation(Record, table=True):
    """One mutation of one or more titles.

    Implemented, it never changes (MUT-03, a trigger); the one thing that may still happen to it
    is REVERSED, by a compensating mutation whose `reverses_id` names it. `counterpart_id` is the
    other half of an exchange of two titles: both are implemented, or neither.

    `version_id` is the version of the title from which it was entered: the sellers' share rows
    are those of this version, and of no other (SHR-03). `kul_hissay` is the whole in which the
    shares of this mutation are counted, whatever the title's own is.
    """

    __table_args__ = (
        CheckConstraint("kul_hissay > 0", name="ck_mutation_whole"),
        CheckConstraint(
            "acting_person(field_verifier) <> acting_person(maker)"
            " AND acting_person(revenue_officer) <> acting_person(maker)"
            " AND acting_person(registrar_checker) <> acting_person(maker)"
            " AND acting_person(revenue_officer) <> acting_person(field_verifier)"
            " AND acting_person(registrar_checker) <> acting_person(field_verifier)"
            " AND acting_person(registrar_checker) <> acting_person(revenue_officer)",
            name="ck_mutation_four_people",
        ),
        UniqueConstraint("title_id", "number", name="uq_mutation_number"),
        UniqueConstraint("counterpart_id", name="uq_mutation_counterpart"),
        Index(
            "uq_mutation_reverses",
            "reverses_id",
            unique=True,
            postgresql_where=text("state NOT IN ('REJECTED', 'WITHDRAWN')"),
        ),
    )

    title_id: UUID = Field(foreign_key="title.id", index=True)
    version_id: UUID = Field(foreign_key="title_version.id")
    kind: MutationKind = enumeration(MutationKind)
    initiation: Initiation = enumeration(Initiation)
    state: MutationState = enumeration(MutationState, default=MutationState.ENTERED)
    number: str
    entered_on: date = Field(default_factory=today)
    kul_hissay: int = bigint()
    predecessor_id: UUID | None = Field(default=None, foreign_key="mutation.id")
    reverses_id: UUID | None = Field(default=None, foreign_key="mutation.id")
    counterpart_id: UUID | None = Field(default=None, foreign_key="mutation.id")
    encumbrance_id: UUID | None = Field(default=None, foreign_key="encumbrance.id")
    effective_at: AwareDatetime | None = instant()
    land_value_paisa: int | None = bigint(default=None)
    assessed_paisa: int | None = bigint(default=None)
    fard_token_no: str | None = None
    fard_token_on: date | None = None
    rapat_no: str | None = None
    rapat_on: date | None = None
    deed_no: str | None = None
    court: str | None = None
    misl_no: str | None = None
    decree_on: date | None = None
    fee_receipt_no: str | None = None
    notice_on: date | None = None
    source_document_id: UUID | None = Field(default=None, foreign_key="document.id")
    maker: str
    field_verifier: str | None = None
    revenue_officer: str | None = None
    registrar_checker: str | None = None
    order_text: str | None = None
    reason: str | None = None
    attested_at: AwareDatetime | None = instant()
    implemented_at: AwareDatetime | None = instant()
    appeal_filed: bool | None = None


class Part(StrEnum):
    """What somebody is in a mutation."""

    SELLER = "SELLER"
    BUYER = "BUYER"
    WITNESS = "WITNESS"


class MutationParty(Record, table=True):
    """Somebody's part in a mutation.

    A seller's row also keeps what they held at entry, in parts of that version's whole.
    """

    __tablename__ = "mutation_party"
    __table_args__ = (
        UniqueConstraint("mutation_id", "part", "party_id", name="uq_mutation_party"),
        CheckConstraint(
            "(part = 'WITNESS') = (hissa IS NULL) AND hissa > 0", name="ck_mutation_party_hissa"
        ),
        CheckConstraint(
            "(part = 'SELLER') = (held_hissa IS NOT NULL)", name="ck_mutation_party_held"
        ),
    )

    mutation_id: UUID = Field(foreign_key="mutation.id", index=True)
    part: Part = enumeration(Part)
    party_id: UUID = Field(foreign_key="party.id")
    hissa: int | None = bigint(default=None)
    held_hissa: int | None = bigint(default=None)
    died_on: date | None = None
    relation: str | None = None


class TitlePart(StrEnum):
    """What a title is to a mutation: it passes away or changes, or it comes out of it."""

    SUBJECT = "SUBJECT"
    RESULT = "RESULT"


class MutationTitle(SQLModel, table=True):
    """A title that a mutation touches; `open` follows the mutation's state (a trigger).

    At most one open mutation for a title, whatever its part in it: the partial unique index is
    MUT-01.
    """

    __tablename__ = "mutation_title"
    __table_args__ = (
        Index("uq_mutation_title_open", "title_id", unique=True, postgresql_where=text("open")),
    )

    mutation_id: UUID = Field(foreign_key="mutation.id", primary_key=True)
    title_id: UUID = Field(foreign_key="title.id", primary_key=True)
    part: TitlePart = enumeration(TitlePart)
    open: bool = True

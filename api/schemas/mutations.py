"""Mutations over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from fractions import Fraction
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field
from sqlmodel import Session

from api.schemas.assets import Hissa
from api.schemas.common import BigInteger, Body, Instant, LongText, MoneyAmount, Read, ShortText
from api.schemas.free_text import FreeText
from api.schemas.titles import TitleVersionRead
from registry.mutation import repository
from registry.mutation.exchange import find_counterpart
from registry.mutation.forms import Estate, NewMutation, OtherHalf, Side
from registry.mutation.heirs import Heir, Relation
from registry.mutation.models import (
    Initiation,
    Mutation,
    MutationKind,
    MutationParty,
    MutationState,
    Part,
    TitlePart,
)
from registry.mutation.service import Instrument
from registry.title import service as titles
from registry.title.models import TitleVersion

MOST_PARTIES = 1000


class SideFields(Body):
    """One seller or buyer; `hissa` counts parts of the mutation's own `kul_hissay`."""

    party_id: UUID
    hissa: Hissa
    died_on: date | None = None
    relation: ShortText | None = None

    def side(self) -> Side:
        return Side(self.party_id, int(self.hissa), self.died_on, self.relation)


class HeirFields(Body):
    """One heir; `hissa` states parts of the estate, without it the table gives them."""

    party_id: UUID
    relation: Relation = Relation.OTHER
    hissa: Hissa | None = None

    def heir(self) -> Heir:
        stated = int(self.hissa) if self.hissa is not None else None
        return Heir(self.party_id, self.relation, stated)


class EstateFields(Body):
    """What somebody leaves of this title: the whole of their share."""

    deceased_id: UUID
    died_on: date
    heirs: Annotated[list[HeirFields], Field(min_length=1, max_length=MOST_PARTIES)]

    def estate(self) -> Estate:
        heirs = tuple(heir.heir() for heir in self.heirs)
        return Estate(self.deceased_id, self.died_on, heirs)


Sides = Annotated[tuple[SideFields, ...], Field(max_length=MOST_PARTIES)]
Ids = Annotated[tuple[UUID, ...], Field(max_length=100)]


class OtherHalfFields(Body):
    """What passes on the other title of an exchange; who gives here takes there."""

    title_id: UUID
    number: ShortText
    kul_hissay: Hissa = 1
    sellers: Sides
    buyers: Sides
    witness_ids: Ids = ()

    def half(self) -> OtherHalf:
        return OtherHalf(
            title_id=self.title_id,
            number=self.number,
            kul_hissay=int(self.kul_hissay),
            sellers=[side.side() for side in self.sellers],
            buyers=[side.side() for side in self.buyers],
            witness_ids=self.witness_ids,
        )


class MutationCreate(Body):
    """A mutation as it is entered; sellers and buyers, or an estate, or neither, by its kind."""

    kind: MutationKind
    initiation: Initiation
    number: ShortText
    kul_hissay: Hissa = 1
    sellers: Sides = ()
    buyers: Sides = ()
    estate: EstateFields | None = None
    witness_ids: Ids = ()
    entered_on: date | None = None
    effective_at: Instant | None = None
    predecessor_id: UUID | None = None
    reverses_id: UUID | None = None
    encumbrance_id: UUID | None = None
    merged_title_ids: Ids = ()
    result_asset_ids: Ids = ()
    land_value: MoneyAmount | None = None
    assessed_value: MoneyAmount | None = None
    fard_token_no: ShortText | None = None
    fard_token_on: date | None = None
    exchanged_for: OtherHalfFields | None = None

    def new(self) -> NewMutation:
        plain = self.model_dump(
            exclude={
                "kul_hissay",
                "sellers",
                "buyers",
                "estate",
                "land_value",
                "assessed_value",
                "exchanged_for",
            }
        )
        return NewMutation(
            **plain,
            kul_hissay=int(self.kul_hissay),
            sellers=[side.side() for side in self.sellers],
            buyers=[side.side() for side in self.buyers],
            estate=self.estate.estate() if self.estate else None,
            exchanged_for=self.exchanged_for.half() if self.exchanged_for else None,
            land_value_paisa=_paisa(self.land_value, "/land_value/amount"),
            assessed_paisa=_paisa(self.assessed_value, "/assessed_value/amount"),
        )


def _paisa(amount: MoneyAmount | None, field: str) -> int | None:
    return amount.paisa(field) if amount is not None else None


class InstrumentFields(Body):
    """What the mutation rests on; which fields it needs, its initiation says."""

    source_document_id: UUID
    fee_receipt_no: ShortText
    notice_on: date
    rapat_no: ShortText | None = None
    rapat_on: date | None = None
    deed_no: ShortText | None = None
    court: ShortText | None = None
    misl_no: ShortText | None = None
    decree_on: date | None = None

    def instrument(self) -> Instrument:
        return Instrument(**self.model_dump())


class OrderText(Body):
    """An officer's order, in writing."""

    order_text: LongText


class AppealFlag(Body):
    """Whether an appeal against the attestation was filed."""

    appeal_filed: bool


class MutationPartyRead(Read):
    """Somebody's part in a mutation; a seller's row keeps what they held at entry."""

    party_id: UUID
    hissa: BigInteger | None
    held_hissa: BigInteger | None
    died_on: date | None
    relation: str | None
    fraction: str | None

    @classmethod
    def of(cls, row: MutationParty, kul_hissay: int) -> Self:
        fraction = str(Fraction(row.hissa, kul_hissay)) if row.hissa is not None else None
        return cls(**row.model_dump(), fraction=fraction)

    @classmethod
    def all_of(cls, session: Session, mutation: Mutation, part: Part) -> list[Self]:
        rows = repository.parties_of(session, mutation.id, part)
        return [cls.of(row, mutation.kul_hissay) for row in rows]


class MutationRead(Read):
    """A mutation, everybody in it, and what it rests on."""

    id: UUID
    title_id: UUID
    version_id: UUID
    kind: MutationKind
    initiation: Initiation
    state: MutationState
    number: str
    entered_on: date
    kul_hissay: BigInteger
    sellers: list[MutationPartyRead]
    buyers: list[MutationPartyRead]
    witness_ids: list[UUID]
    merged_title_ids: list[UUID]
    result_title_ids: list[UUID]
    predecessor_id: UUID | None
    reverses_id: UUID | None
    counterpart_id: UUID | None
    encumbrance_id: UUID | None
    effective_at: datetime | None
    land_value: MoneyAmount | None
    assessed_value: MoneyAmount | None
    fard_token_no: str | None
    fard_token_on: date | None
    rapat_no: str | None
    rapat_on: date | None
    deed_no: str | None
    court: str | None
    misl_no: str | None
    decree_on: date | None
    fee_receipt_no: str | None
    notice_on: date | None
    source_document_id: UUID | None
    maker: str
    field_verifier: str | None
    revenue_officer: str | None
    registrar_checker: str | None
    order_text: FreeText | None
    reason: FreeText | None
    recorded_at: datetime
    attested_at: datetime | None
    implemented_at: datetime | None
    appeal_filed: bool | None

    @classmethod
    def of(cls, session: Session, mutation: Mutation) -> Self:
        subjects = repository.titles_of(session, mutation.id, TitlePart.SUBJECT)
        results = repository.titles_of(session, mutation.id, TitlePart.RESULT)
        witnesses = repository.parties_of(session, mutation.id, Part.WITNESS)
        other = find_counterpart(session, mutation)
        return cls(
            **mutation.model_dump(exclude={"land_value_paisa", "assessed_paisa", "counterpart_id"}),
            counterpart_id=other.id if other else None,
            sellers=MutationPartyRead.all_of(session, mutation, Part.SELLER),
            buyers=MutationPartyRead.all_of(session, mutation, Part.BUYER),
            witness_ids=[row.party_id for row in witnesses],
            merged_title_ids=[row.id for row in subjects if row.id != mutation.title_id],
            result_title_ids=[row.id for row in results],
            land_value=MoneyAmount.of_known(mutation.land_value_paisa),
            assessed_value=MoneyAmount.of_known(mutation.assessed_paisa),
        )


class MutationOfHistory(Read):
    """The mutation that made a right, as far as a history tells it."""

    id: UUID
    kind: MutationKind
    number: str
    state: MutationState
    deed_no: str | None
    transferors: list[MutationPartyRead]
    transferees: list[MutationPartyRead]
    maker: str
    revenue_officer: str | None
    registrar_checker: str | None

    @classmethod
    def of(cls, session: Session, mutation: Mutation) -> Self:
        return cls(
            **mutation.model_dump(),
            transferors=MutationPartyRead.all_of(session, mutation, Part.SELLER),
            transferees=MutationPartyRead.all_of(session, mutation, Part.BUYER),
        )


class HistoryEntryRead(Read):
    """One version of a title, and the mutation that made it; the first has none."""

    version: TitleVersionRead
    mutation: MutationOfHistory | None

    @classmethod
    def all_of(cls, session: Session, versions: Sequence[TitleVersion]) -> list[Self]:
        known: dict[UUID | None, MutationOfHistory | None] = {None: None}
        for mutation_id in {row.mutation_id for row in versions} - {None}:
            assert mutation_id is not None
            mutation = repository.get_mutation(session, mutation_id)
            known[mutation_id] = MutationOfHistory.of(session, mutation)
        return [
            cls(version=TitleVersionRead.of(session, row), mutation=known[row.mutation_id])
            for row in versions
        ]

    @classmethod
    def of_title(
        cls, session: Session, title_id: UUID, *, until: datetime | None = None
    ) -> list[Self]:
        return cls.all_of(session, titles.list_versions(session, title_id, until=until))


class DisputeCreate(Body):
    """An order or a suit about the title."""

    case_no: ShortText
    reason: LongText


class DisputeEnd(Body):
    """The final order, filed under the asset and verified."""

    order_document_id: UUID
    reason: LongText


class TitleCancel(Body):
    """Why a title ends; in a dispute, on which decree."""

    reason: LongText
    order_document_id: UUID | None = None

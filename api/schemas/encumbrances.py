"""Encumbrances over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field
from sqlmodel import Session

from api.schemas.common import Body, MoneyAmount, Read, ShortText
from registry.encumbrance import service as encumbrances
from registry.encumbrance.models import (
    Effect,
    Encumbrance,
    EncumbranceKind,
    EncumbranceState,
    EncumbranceTerms,
)
from registry.encumbrance.service import NewEncumbrance, Variation
from registry.kernel.whole import NO_FLAG


class EncumbranceVariationCreate(Body):
    """The terms of an encumbrance that can be varied."""

    source_document_id: UUID
    rank: Annotated[int | None, Field(ge=1, le=1000), NO_FLAG] = None
    amount: MoneyAmount | None = None
    holder_id: UUID | None = None
    lender_consent: bool = False
    consent_document_id: UUID | None = None
    ends_on: date | None = None

    @property
    def amount_paisa(self) -> int | None:
        return self.amount.paisa("/amount/amount") if self.amount else None

    def variation(self) -> Variation:
        return Variation(
            **self.model_dump(exclude={"amount"}),
            amount_paisa=self.amount_paisa,
        )


class EncumbranceCreate(EncumbranceVariationCreate):
    """Something held against a title; it rests on a document of the same asset."""

    kind: EncumbranceKind
    authority: ShortText | None = None
    case_no: ShortText | None = None

    def new(self) -> NewEncumbrance:
        return NewEncumbrance(
            **self.model_dump(exclude={"amount"}),
            amount_paisa=self.amount_paisa,
        )


class Paper(Body):
    """The paper that an act rests on."""

    document_id: UUID


class Confirmation(Body):
    """How the holder confirmed it: letter, date, who signed."""

    confirmation: ShortText


class DischargeStep(Body):
    """A maker asks with the releasing paper; a checker grants what the holder has confirmed."""

    document_id: UUID | None = None
    confirmation: ShortText | None = None


class EncumbranceRead(Read):
    """An encumbrance, and what it stops."""

    id: UUID
    title_id: UUID
    kind: EncumbranceKind
    effect: Effect
    rank: int | None
    amount: MoneyAmount | None
    holder_id: UUID | None
    authority: str | None
    case_no: str | None
    lender_consent: bool
    consent_document_id: UUID | None
    ends_on: date | None
    source_document_id: UUID
    state: EncumbranceState
    valid_from: datetime | None
    valid_to: datetime | None
    maker: str
    checker: str | None
    asked_by: str | None
    decided_by: str | None
    closing_document_id: UUID | None

    @classmethod
    def of(cls, encumbrance: Encumbrance) -> Self:
        return cls(
            **encumbrance.model_dump(exclude={"amount_paisa", "confirmation"}),
            amount=MoneyAmount.of_known(encumbrance.amount_paisa),
        )

    @classmethod
    def at(cls, session: Session, encumbrance: Encumbrance, as_of: datetime | None) -> Self:
        """Read it with the terms on which it bound at `as_of`, or with those of now.

        Raises
        ------
        NotFound
            It did not bind then.
        """
        today = cls.of(encumbrance)
        if as_of is None:
            return today
        terms = encumbrances.terms_at(session, encumbrance, as_of)
        then = EncumbranceTermsRead.of(terms).model_dump(include=_TERMS)
        return today.model_copy(
            update=then
            | {"amount": MoneyAmount.of_known(terms.amount_paisa), "effect": terms.effect}
        )


_TERMS = {"rank", "holder_id", "lender_consent", "ends_on", "source_document_id"}


class EncumbranceTermsRead(Read):
    """One version of an encumbrance's terms; without `valid_from` it was never in force."""

    seq: int
    effect: Effect
    rank: int | None
    amount: MoneyAmount | None
    holder_id: UUID | None
    lender_consent: bool
    ends_on: date | None
    source_document_id: UUID
    valid_from: datetime | None
    valid_to: datetime | None
    recorded_at: datetime
    superseded_at: datetime | None
    maker: str
    checker: str | None

    @classmethod
    def of(cls, terms: EncumbranceTerms) -> Self:
        return cls(
            **terms.model_dump(exclude={"amount_paisa"}),
            amount=MoneyAmount.of_known(terms.amount_paisa),
        )

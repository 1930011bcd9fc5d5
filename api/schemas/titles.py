"""Titles and encumbrances over HTTP."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field
from sqlmodel import Session

from api.schemas.assets import OwnerRead
from api.schemas.common import BigInteger, Body, MoneyAmount, Read, ShortText
from registry.encumbrance.models import Effect, Encumbrance, EncumbranceKind, EncumbranceState
from registry.encumbrance.service import NewEncumbrance
from registry.title import service as titles
from registry.title.models import Title, TitleState, TitleVersion


class TitleVersionRead(Read):
    """Who held the title, from when to when, and since when we know it."""

    seq: int
    basis: str
    kul_hissay: BigInteger
    owners: list[OwnerRead]
    valid_from: datetime
    valid_to: datetime | None
    recorded_at: datetime
    superseded_at: datetime | None
    maker: str
    checker: str | None

    @classmethod
    def of(cls, session: Session, version: TitleVersion) -> Self:
        ownership = titles.ownership_of(session, version)
        return cls(
            **version.model_dump(),
            owners=[OwnerRead.model_validate(share) for share in ownership.shares],
        )


class TitleRead(Read):
    """A title, with the version that was in force at `as_of` as we knew it at `known_at`."""

    id: UUID
    asset_id: UUID
    state: TitleState
    as_of: datetime
    known_at: datetime
    version: TitleVersionRead

    @classmethod
    def of(cls, session: Session, title: Title, *, as_of: datetime, known_at: datetime) -> Self:
        version = titles.version_at(session, title.id, as_of=as_of, known_at=known_at)
        return cls(
            **title.model_dump(),
            as_of=as_of,
            known_at=known_at,
            version=TitleVersionRead.of(session, version),
        )


class EncumbranceCreate(Body):
    """Something held against a title; it rests on a document of the same asset."""

    kind: EncumbranceKind
    source_document_id: UUID
    rank: Annotated[int | None, Field(ge=1, le=1000)] = None
    amount: MoneyAmount | None = None
    holder_id: UUID | None = None
    authority: ShortText | None = None
    case_no: ShortText | None = None
    lender_consent: bool = False
    ends_on: date | None = None

    def new(self) -> NewEncumbrance:
        return NewEncumbrance(
            **self.model_dump(exclude={"amount"}),
            amount_paisa=self.amount.paisa("/amount/amount") if self.amount else None,
        )


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
    ends_on: date | None
    source_document_id: UUID
    state: EncumbranceState
    maker: str
    checker: str | None

    @classmethod
    def of(cls, encumbrance: Encumbrance) -> Self:
        paisa = encumbrance.amount_paisa
        return cls(
            **encumbrance.model_dump(exclude={"amount_paisa"}),
            amount=MoneyAmount.of(paisa) if paisa is not None else None,
        )

"""Titles over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from sqlmodel import Session

from api.schemas.assets import OwnerRead
from api.schemas.common import BigInteger, Read
from registry.title import service as titles
from registry.title.models import Title, TitleState, TitleVersion


class TitleOwnerRead(OwnerRead):
    """One owner's part, and the same as a fraction of the whole: ``7/16``."""

    fraction: str


class TitleVersionRead(Read):
    """Who held the title, from when to when, and since when we know it."""

    seq: int
    basis: str
    kul_hissay: BigInteger
    owners: list[TitleOwnerRead]
    mutation_id: UUID | None
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
            owners=[
                TitleOwnerRead(
                    party_id=share.party_id,
                    hissa=share.hissa,
                    fraction=str(ownership.fraction_of(share.party_id)),
                )
                for share in ownership.shares
            ],
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

"""Titles (LADM LA_BAUnit): who holds what share of an asset, in versions that never change."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from registry.kernel.columns import Record, bigint, enumeration, instant


class TitleState(StrEnum):
    PROPOSED = "PROPOSED"
    VERIFIED = "VERIFIED"
    ACTIVE = "ACTIVE"
    MUTATION_PENDING = "MUTATION_PENDING"
    DISPUTED = "DISPUTED"
    CANCELLED = "CANCELLED"
    SUPERSEDED = "SUPERSEDED"
    REFUSED = "REFUSED"


ENDED = (TitleState.CANCELLED, TitleState.SUPERSEDED, TitleState.REFUSED)
"""States in which there is no right any more that anything could bind."""


class Title(Record, table=True):
    """The right of ownership in one asset."""

    asset_id: UUID = Field(foreign_key="asset.id", unique=True)
    state: TitleState = enumeration(TitleState, default=TitleState.PROPOSED)


class TitleVersion(Record, table=True):
    """Who held the title during one stretch of time, as we believed it during another.

    Valid time is `valid_from` to `valid_to`; what we knew runs from `recorded_at` to
    `superseded_at`. Versions of one title that we hold true at once never overlap (VER-01, an
    exclusion constraint), and the shares of each sum to `kul_hissay` at COMMIT (SHR-01, a
    deferred constraint trigger). `mutation_id` is the mutation that made the right; a title that
    came with its dossier has none.
    """

    __tablename__ = "title_version"
    __table_args__ = (
        CheckConstraint("kul_hissay > 0", name="ck_title_version_whole"),
        CheckConstraint("valid_to > valid_from", name="ck_title_version_valid"),
        UniqueConstraint("title_id", "seq", name="uq_title_version_seq"),
    )

    title_id: UUID = Field(foreign_key="title.id", index=True)
    seq: int
    basis: str
    kul_hissay: int = bigint()
    valid_from: AwareDatetime = instant(nullable=False)
    valid_to: AwareDatetime | None = instant()
    superseded_at: AwareDatetime | None = instant()
    maker: str
    checker: str | None = None
    # The mutation names the version that it began from, so the two tables name each other.
    mutation_id: UUID | None = Field(
        default=None,
        sa_column=Column(
            ForeignKey("mutation.id", name="fk_title_version_mutation", use_alter=True), index=True
        ),
    )


class TitleShare(SQLModel, table=True):
    """`hissa` parts of the version's `kul_hissay`, held by one party."""

    __tablename__ = "title_share"
    __table_args__ = (
        CheckConstraint("hissa > 0", name="ck_title_share_positive"),
        Index("ix_title_share_party", "party_id"),
    )

    version_id: UUID = Field(foreign_key="title_version.id", primary_key=True)
    party_id: UUID = Field(foreign_key="party.id", primary_key=True)
    hissa: int = bigint()

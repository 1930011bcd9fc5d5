"""KYC reviews: what somebody says of themselves, its papers, and what two officers made of it."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from pydantic import AwareDatetime
from sqlalchemy import CheckConstraint, Index, UniqueConstraint, text
from sqlmodel import Field

from registry.kernel.columns import EnumText, Record, bigint, binary, enumeration, instant


class ReviewState(StrEnum):
    """Where a review stands; it opens as DRAFT, and APPROVED is the only state that counts."""

    DRAFT = "DRAFT"
    SUBMITTED = "SUBMITTED"
    RECOMMENDED = "RECOMMENDED"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    WITHDRAWN = "WITHDRAWN"
    SUPERSEDED = "SUPERSEDED"
    LAPSED = "LAPSED"
    REVOKED = "REVOKED"


OPEN = (ReviewState.DRAFT, ReviewState.SUBMITTED, ReviewState.RECOMMENDED)
"""Somebody still has to do something."""

HANDED_IN = (ReviewState.SUBMITTED, ReviewState.RECOMMENDED)
"""Officers have to do something."""


class Recommendation(StrEnum):
    APPROVE = "APPROVE"
    REJECT = "REJECT"


class Risk(StrEnum):
    LOW = "LOW"
    MEDIUM = "MEDIUM"
    HIGH = "HIGH"


class KycReview(Record, table=True):
    """One review of one investor.

    Parameters
    ----------
    sealed
        The profile, and the position of a politically exposed person; none where the decision
        was recorded before reviews were kept.
    renews_id
        The review in force when this one was opened.
    maker, checker
        Who recommended, and who decided; never one person.
    review_sha256
        Of what was recommended, which is exactly what is decided on; the evidence of the claim.
    """

    __tablename__ = "kyc_review"
    __table_args__ = (
        CheckConstraint(
            "acting_person(checker) <> acting_person(maker)", name="ck_kyc_review_four_eyes"
        ),
        CheckConstraint(
            "state NOT IN ('APPROVED', 'SUPERSEDED', 'LAPSED', 'REVOKED')"
            " OR (valid_until IS NOT NULL AND review_sha256 IS NOT NULL)",
            name="ck_kyc_review_decided",
        ),
        CheckConstraint("octet_length(review_sha256) = 32", name="ck_kyc_review_hash"),
        Index(
            "uq_kyc_review_open",
            "investor_id",
            unique=True,
            postgresql_where=text("state IN ('DRAFT', 'SUBMITTED', 'RECOMMENDED')"),
        ),
        Index(
            "uq_kyc_review_approved",
            "investor_id",
            unique=True,
            postgresql_where=text("state = 'APPROVED'"),
        ),
        # What ends soon.
        Index(
            "ix_kyc_review_valid_until",
            "valid_until",
            postgresql_where=text("state = 'APPROVED'"),
        ),
    )

    investor_id: UUID = Field(foreign_key="investor.id", index=True)
    state: ReviewState = enumeration(ReviewState, default=ReviewState.DRAFT)
    renews_id: UUID | None = Field(default=None, foreign_key="kyc_review.id")
    sealed: bytes | None = binary(nullable=True, default=None)
    sealed_with: bytes | None = binary(nullable=True, default=None, index=True)
    opened_by: str
    submitted_at: AwareDatetime | None = instant()
    maker: str | None = None
    recommendation: Recommendation | None = Field(
        default=None, sa_type=EnumText(Recommendation), nullable=True
    )
    risk: Risk | None = Field(default=None, sa_type=EnumText(Risk), nullable=True)
    is_pep: bool | None = None
    reason: str | None = None
    review_sha256: bytes | None = binary(nullable=True, default=None)
    checker: str | None = None
    decided_at: AwareDatetime | None = instant()
    decision_reason: str | None = None
    valid_until: AwareDatetime | None = instant()
    ended_by: str | None = None
    ended_at: AwareDatetime | None = instant()
    end_reason: str | None = None


class KycPaper(Record, table=True):
    """A paper of a review, known by the SHA-256 of its bytes and stored as those of assets are."""

    __tablename__ = "kyc_paper"
    __table_args__ = (UniqueConstraint("review_id", "sha256", name="uq_kyc_paper_sha256"),)

    review_id: UUID = Field(foreign_key="kyc_review.id", index=True)
    kind: str
    sha256: bytes = binary()
    size_bytes: int = bigint()
    media_type: str
    stored_as: bytes = binary()
    sealed: bytes = binary()
    sealed_with: bytes = binary(index=True)
    uploaded_by: str

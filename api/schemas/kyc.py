"""KYC reviews over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Self
from uuid import UUID

from api.schemas.common import Body, LongText, MoneyAmount, OfPerson, Read, ShortText
from api.schemas.free_text import FreeText, SealedText
from registry.kernel.vault import Vault
from registry.kyc.decision import Assessment
from registry.kyc.models import KycPaper, KycReview, Recommendation, ReviewState, Risk
from registry.kyc.profile import FundsSource, Profile, pep_position_of, profile_of


class ProfileFields(Body):
    """What an investor says of themselves; of a company, of its business."""

    occupation: ShortText
    source_of_funds: FundsSource
    yearly_investment: MoneyAmount
    investment_purpose: LongText
    tax_filer: bool
    source_of_wealth: LongText | None = None

    def profile(self) -> Profile:
        return Profile(
            occupation=self.occupation,
            source_of_funds=self.source_of_funds,
            yearly_investment_paisa=self.yearly_investment.paisa("/yearly_investment"),
            investment_purpose=self.investment_purpose,
            tax_filer=self.tax_filer,
            source_of_wealth=self.source_of_wealth,
        )


class ProfileRead(Read):
    """The profile; its words are hidden, save for a stated reason."""

    occupation: SealedText
    source_of_funds: FundsSource
    yearly_investment: MoneyAmount
    investment_purpose: SealedText
    tax_filer: bool
    source_of_wealth: SealedText | None


class KycDocumentRead(OfPerson):
    """A paper of a review, known by the SHA-256 of its bytes."""

    id: UUID
    review_id: UUID
    recorded_at: datetime
    kind: str
    sha256: str
    size_bytes: int
    media_type: str
    uploaded_by: str

    @classmethod
    def of(cls, paper: KycPaper) -> Self:
        said = paper.model_dump(exclude={"sha256", "sealed", "sealed_with", "stored_as"})
        return cls(**said, sha256=paper.sha256.hex())


class KycReviewRead(OfPerson):
    """A review. `review_sha256` is what the second officer decides on, once it is recommended.

    `profile` is null where the decision was recorded before reviews were kept. What the officers
    make of somebody is not told to them (no tipping-off, AMLA 2010 s.7): `maker`,
    `recommendation`, `risk`, `is_pep`, `pep_position` and `review_sha256` are null, `reason` too
    unless the review was returned to them, and `end_reason` of a revocation says no more.
    """

    id: UUID
    recorded_at: datetime
    investor_id: UUID
    state: ReviewState
    renews_id: UUID | None
    profile: ProfileRead | None
    opened_by: str
    submitted_at: datetime | None
    maker: str | None
    recommendation: Recommendation | None
    risk: Risk | None
    is_pep: bool | None
    pep_position: SealedText | None
    reason: FreeText | None
    review_sha256: str | None
    checker: str | None
    decided_at: datetime | None
    decision_reason: FreeText | None
    valid_until: datetime | None
    ended_by: str | None
    ended_at: datetime | None
    end_reason: FreeText | None

    @classmethod
    def of(cls, vault: Vault, review: KycReview, *, tells_all: bool) -> Self:
        profile = profile_of(vault, review)
        sha256 = review.review_sha256
        read = cls(
            **review.model_dump(exclude={"sealed", "sealed_with", "review_sha256"}),
            profile=_shown(profile) if profile else None,
            pep_position=pep_position_of(vault, review),
            review_sha256=sha256.hex() if sha256 is not None else None,
        )
        return read if tells_all else read.model_copy(update=_untold(review))


_OF_THE_OFFICERS = (
    "maker",
    "recommendation",
    "risk",
    "is_pep",
    "pep_position",
    "review_sha256",
)
_REVOKED = "The KYC was revoked."


def _untold(review: KycReview) -> dict[str, str | None]:
    """Give what an applicant reads in the place of what the officers make of them."""
    said: dict[str, str | None] = dict.fromkeys(_OF_THE_OFFICERS)
    if review.state != ReviewState.DRAFT:
        said["reason"] = None
    if review.state == ReviewState.REVOKED:
        said["end_reason"] = _REVOKED
    return said


def _shown(profile: Profile) -> ProfileRead:
    return ProfileRead(
        occupation=profile.occupation,
        source_of_funds=profile.source_of_funds,
        yearly_investment=MoneyAmount.of(profile.yearly_investment_paisa),
        investment_purpose=profile.investment_purpose,
        tax_filer=profile.tax_filer,
        source_of_wealth=profile.source_of_wealth,
    )


class AssessmentFields(Body):
    """What the first officer makes of a review; a PEP has a position (FATF Recommendation 12)."""

    recommendation: Recommendation
    risk: Risk
    is_pep: bool
    pep_position: ShortText | None = None
    reason: LongText

    def assessment(self) -> Assessment:
        return Assessment(**self.model_dump())

"""Holding what a review keeps sealed against the hash on which two officers decided."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmodel import Session, col, select

from registry.kernel.rows import in_pages
from registry.kernel.vault import SealBroken, Vault
from registry.kyc.decision import recommended_sha256
from registry.kyc.models import KycReview

BATCH = 200


def altered(session: Session, vault: Vault) -> Iterator[str]:
    """Find reviews whose profile, papers or assessment are not those that were recommended."""
    recommended = select(KycReview).where(col(KycReview.review_sha256).is_not(None))
    for rows in in_pages(session, recommended, col(KycReview.id), size=BATCH):
        for row in rows:
            fault = _fault(session, vault, row)
            if fault is not None:
                yield f"Row {row.id} of kyc_review: {fault}"


def _fault(session: Session, vault: Vault, review: KycReview) -> str | None:
    try:
        recomputed = recommended_sha256(session, vault, review)
    except SealBroken:
        return "its profile does not open with any key of PII_KEY"
    if recomputed is None:
        # Decisions from before reviews were kept have neither a profile nor a first officer.
        return None if review.maker is None else "its profile is gone"
    return None if recomputed == review.review_sha256 else "it is not what was recommended"
